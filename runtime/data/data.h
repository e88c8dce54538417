/* data.h: data sets: labelled images, or tensors. A data set is in memory (IDX, CIFAR-10, the digits), or a list of
   image files that are decoded when needed (class folders; images with masks), or a .npy array for each input and
   target. */
#ifndef RNC_RUNTIME_DATA_DATA_H
#define RNC_RUNTIME_DATA_DATA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/data/batch.h"
#include "runtime/io/npy.h"
#include "runtime/recipe/format.h"
#include "runtime/rt/status.h"

/* Gives a folder of images the class CLASS instead of its own name. */
enum { RNC_RENAMES = 64 };
struct rnc_rename {
    const char *folder, *class;
};

/* Where the data come from: a path whose format is recognised, or a format that a spec names. Neither: the built-in
   digits. */
struct rnc_data_source {
    const char *path;             /* a folder or a file */
    struct rnc_choice format;     /* of rnc_data_formats; its paths must hold that format */
    const struct rnc_port *ports; /* for tensors: names and shapes */
    int nports;
    bool whole;      /* for evaluation: data without a split are all used for validation … */
    const char *run; /* … unless their identity is this one, of a run: then only what that run held out is used */
    const char *const *classes; /* the model's, by label; NULL: the data's. Folders are matched by name */
    int64_t nclasses;
    const char *namer;               /* where the classes come from, for messages: "the weights" */
    const struct rnc_rename *rename; /* at most RNC_RENAMES; each must match a folder */
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
    int64_t channels, height, width; /* of every image; 0: they differ (files) and are resized for the model */
    const uint8_t *pixels;           /* [count, channels, height, width]; NULL: files */
    char **files, **masks;           /* by sample; masks: label images, or NULL */
    int32_t *labels;                 /* by sample; unused with masks */
    bool binary_masks;               /* masks contain only 0 and 255; 255 is class 1 */
    void *owned;                     /* memory of `pixels` to be freed, or NULL */
    struct rnc_array *tensors;       /* by port, or NULL */
    int ntensors;
    int64_t *rows; /* tensors: sample k is row rows[k]; NULL: row k */
    bool borrowed; /* the other split owns the tensors */
};

struct rnc_data {
    struct rnc_dataset train, val;
    int64_t nclasses;
    char **classes;         /* [nclasses] names, or NULL */
    const char *unit;       /* the plural noun for samples: "images" */
    uint64_t renamed;       /* bit k: rename k of the source has matched */
    bool by_name;           /* the class names are folder names; false: files hold numbers */
    char description[1024]; /* "mnist: 60,000 images to train on, 10,000 to validate on, 1 × 28 × 28, 10 classes" */
    char identity[256]; /* equal for equal data, whatever their path and file names: counts, sizes, and a hash of labels
                           and pixels, or of the bytes of files and masks. Beyond 4 GiB of files: of each file's size
                           and its first and last 4 KiB */
    bool held_out;      /* there was no validation split; every tenth sample was held out */
};

/* Opens a data set. Recognised folders: IDX files named as MNIST's; CIFAR-10's *.bin (3,073 bytes a record); folders
   train/ and val/ (or test/) of class folders, or class folders alone; image(s)/ with label(s)/ or mask(s)/ (for class
   maps), also inside train/ and val/; NAME.npy [count, …] for each port, also inside train/ and val/. Recognised files:
   IDX (its labels are searched for in the same folder), CIFAR-10. Without a validation split every tenth sample is held
   out. D is zeroed first; call rnc_data_close after a failure too. */
bool rnc_data_open(struct rnc_data *d, const struct rnc_data_source *source, struct rnc_status *s);
void rnc_data_close(struct rnc_data *d);

/* Mean and standard deviation of pixels / 255 for each channel. Image files: of up to 500 of them, read with CHANNELS
   channels. */
bool rnc_data_measure(const struct rnc_dataset *d, int64_t channels, double *mean, double *std, struct rnc_status *s);

/* The name of class K for a list: from the data set, else its number, written to NUMBER. */
const char *rnc_data_class(const struct rnc_data *d, int64_t k, char *number, size_t size);

/* The gzip'ed IDX files of tests/data/digits, compiled into the binary (runtime/data/digits.c). */
struct rnc_embedded {
    const unsigned char *data;
    size_t bytes;
};
struct rnc_embedded rnc_digits(bool val, bool labels);

#endif
