/* sample_target.h: internal to the loader: what a picture's label or mask becomes, for each target of the model. */
#ifndef RNC_RUNTIME_DATA_SAMPLE_TARGET_H
#define RNC_RUNTIME_DATA_SAMPLE_TARGET_H

#include "runtime/data/loader.h"

/* In a mask on its way: what came from beyond the picture's border. It becomes the target's `ignore`, else class 0. */
enum { RNC_OUTSIDE = -1 };

/* One target. */
struct rnc_picture_target {
    const struct rnc_port *port;
    int index;      /* of the port */
    int32_t second; /* binary labels: the class that is 1 */
};
/* Where the samples' labels and masks come from, for messages and for what is 1. */
struct rnc_labelled {
    const char *name; /* of the data set, or of the mask's file */
    int64_t height, width;
    const int32_t *mask; /* [height, width], or NULL: label */
    int32_t label;
};

/* Can C's data give the target? Labels without numbers of their own are found by their names. */
bool rnc_picture_target_open(const struct rnc_loader_config *c, int index, struct rnc_picture_target *t,
                             struct rnc_status *s);
/* The target of one sample into OUT, of the port's size: masks by nearest neighbours. */
bool rnc_picture_target_get(const struct rnc_picture_target *t, const struct rnc_labelled *x, void *out,
                            struct rnc_status *s);

/* Which of the two classes of the data (NAMES, N of them; names NULL: numbers) a binary label PORT says is 1; -1 with
   S. */
int rnc_port_positive(const struct rnc_port *port, const char *const *names, int64_t n, struct rnc_status *s);

#endif
