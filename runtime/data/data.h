/* data.h: labelled images, or tensors, from wherever they lie. A data set is in memory (IDX, CIFAR-10, the digits), a
   list of image files (class folders; images with masks), which are decoded when they are needed, or a .npy array for
   each input and target. */
#ifndef RNC_RUNTIME_DATA_DATA_H
#define RNC_RUNTIME_DATA_DATA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/data/batch.h"
#include "runtime/io/npy.h"
#include "runtime/recipe/format.h"
#include "runtime/rt/status.h"

/* A folder that is a class of another name. */
enum { RNC_RENAMES = 64 };
struct rnc_rename {
    const char *folder, *class;
};

/* Where the data are: a path whose format is recognised by what lies there, or what a spec says. Neither: the built-in
   digits. */
struct rnc_data_source {
    const char *path;             /* a folder or a file */
    struct rnc_choice format;     /* of rnc_data_formats, whose paths must hold that format */
    const struct rnc_port *ports; /* for tensors: which, and their shapes */
    int nports;
    bool whole;      /* for evaluation: where there is only one part, it is the validation part, all of it … */
    const char *run; /* … but where these are the data that a run had, as its identity tells: what that run held out */
    const char *const *classes; /* the model's, by label; NULL: they come from the data. Folders are found by name */
    int64_t nclasses;
    const char *namer;               /* who names them, for messages: "the weights" */
    const struct rnc_rename *rename; /* folders of images, at most RNC_RENAMES; each must be met */
    int nrename;
};

/* [rows, …] of one port, in its type. */
struct rnc_array {
    const struct rnc_port *port;
    struct rnc_npy npy;
};

struct rnc_dataset {
    char *name; /* for messages: the path */
    int64_t count;
    int64_t channels, height, width; /* of every image; 0: differ (files), resized to what the model wants */
    const uint8_t *pixels;           /* [count, channels, height, width], or NULL: files */
    char **files, **masks;           /* by sample; masks: images of labels, or NULL */
    int32_t *labels;                 /* by sample; unused with masks */
    bool binary_masks;               /* masks hold 0 and 255 only: 255 is class 1 */
    void *owned;                     /* what pixels points into, if it is to be freed */
    struct rnc_array *tensors;       /* or NULL; by port */
    int ntensors;
    int64_t *rows; /* tensors: sample k is row rows[k] of each; NULL: row k */
    bool borrowed; /* tensors belong to the other part */
};

struct rnc_data {
    struct rnc_dataset train, val;
    int64_t nclasses;
    char **classes;         /* names, nclasses of them, or NULL */
    const char *unit;       /* what a sample is: "images" */
    uint64_t renamed;       /* bit k: the source's rename k has been met */
    bool by_name;           /* the names are those of folders; else labels are numbers that the files hold */
    char description[1024]; /* "mnist: 60,000 images to train on, 10,000 to validate on, 1 × 28 × 28, 10 classes" */
    char identity[256]; /* the same data have the same, wherever they lie and whatever their files are called: counts,
                           sizes, and a hash of labels and pixels, or of the bytes of files and masks. More than 4 GiB
                           of files: of each its size, its first and its last 4 KiB */
    bool held_out;      /* there was no validation part: every tenth sample was set aside */
};

/* Recognised, for a folder: IDX files named as MNIST's; CIFAR-10's *.bin (3,073 bytes a record); folders train/ and
   val/ (or test/) of class folders, or class folders at once; image(s)/ and label(s)/ or mask(s)/ (for class maps),
   also under train/ and val/; NAME.npy [count, …] for each port, also under train/ and val/. For a file: IDX (its
   labels are looked for beside it) or CIFAR-10. Where there is no validation part every tenth sample is held out. D is
   zeroed first; rnc_data_close is due after failure too. */
bool rnc_data_open(struct rnc_data *d, const struct rnc_data_source *source, struct rnc_status *s);
void rnc_data_close(struct rnc_data *d);

/* Mean and standard deviation of the pixels / 255 for each channel (files: of up to 500 images, read
   with CHANNELS channels). */
bool rnc_data_measure(const struct rnc_dataset *d, int64_t channels, double *mean, double *std, struct rnc_status *s);

/* Names of the classes for a list of N: those of the data set, or numbers. */
const char *rnc_data_class(const struct rnc_data *d, int64_t k, char *number, size_t size);

/* runtime/data/digits.c: the gzip'ed IDX files of tests/data/digits, inside the binary. */
struct rnc_embedded {
    const unsigned char *data;
    size_t bytes;
};
struct rnc_embedded rnc_digits(bool val, bool labels);

#endif
