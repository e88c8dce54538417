/* digits.c: the small data set inside the binary, so that an installed rnc can train without any file (see
   tests/data/digits/NOTICE). */
#include "runtime/data/data.h"

/* .incbin looks for the files relative to the folder that the compiler runs in: the project's root. */
#define EMBED(symbol, file)                                                              \
    __asm__(".section .rodata\n.balign 16\n" #symbol ":\n.incbin \"" file "\"\n" #symbol \
            "_end:\n.byte 0\n.previous\n");                                              \
    extern const unsigned char symbol[], symbol##_end[]

EMBED(digits_train_images, "tests/data/digits/train-images-idx3-ubyte.gz");
EMBED(digits_train_labels, "tests/data/digits/train-labels-idx1-ubyte.gz");
EMBED(digits_val_images, "tests/data/digits/t10k-images-idx3-ubyte.gz");
EMBED(digits_val_labels, "tests/data/digits/t10k-labels-idx1-ubyte.gz");

struct rnc_embedded rnc_digits(bool val, bool labels)
{
    const unsigned char *const begin[2][2] = {{digits_train_images, digits_train_labels},
                                              {digits_val_images, digits_val_labels}};
    const unsigned char *const end[2][2] = {{digits_train_images_end, digits_train_labels_end},
                                            {digits_val_images_end, digits_val_labels_end}};
    return (struct rnc_embedded){begin[val][labels], (size_t)(end[val][labels] - begin[val][labels])};
}
