#include "base/word.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

enum { MAX_WORD = 64, MAX_COMPARED = 2000 };

/* What PyTorch, Keras, Caffe, ONNX and command lines call what a spec or an option here calls otherwise. In small
   letters, without - and _; the first row of a word whose other name is a candidate counts. */
static const struct {
    const char *theirs, *ours;
} synonyms[] = {
    /* layers */
    {"conv", "conv2d"},
    {"convolution", "conv2d"},
    {"convolution2d", "conv2d"},
    {"deconv", "conv_transpose2d"},
    {"deconvolution", "conv_transpose2d"},
    {"conv2dtranspose", "conv_transpose2d"},
    {"convtranspose", "conv_transpose2d"},
    {"batchnormalization", "batch_norm"},
    {"batchnorm2d", "batch_norm"},
    {"bn", "batch_norm"},
    {"linear", "dense"},
    {"fc", "dense"},
    {"fullyconnected", "dense"},
    {"innerproduct", "dense"},
    {"gemm", "dense"},
    {"maxpool2d", "max_pool"},
    {"maxpooling2d", "max_pool"},
    {"avgpool2d", "avg_pool"},
    {"averagepool", "avg_pool"},
    {"averagepooling2d", "avg_pool"},
    {"adaptiveavgpool2d", "global_avg_pool"},
    {"globalaveragepool", "global_avg_pool"},
    {"globalaveragepooling2d", "global_avg_pool"},
    {"gap", "global_avg_pool"},
    {"swish", "silu"},
    {"hswish", "hardswish"},
    {"concatenate", "concat"},
    {"cat", "concat"},
    {"multiply", "mul"},
    {"sum", "add"},
    {"zeropadding2d", "pad"},
    {"zeropad2d", "pad"},
    {"upsample", "resize"},
    {"upsampling2d", "resize"},
    {"interpolate", "resize"},
    {"dropout2d", "dropout"},
    /* losses */
    {"crossentropy", "softmax_cross_entropy"},
    {"crossentropyloss", "softmax_cross_entropy"},
    {"categoricalcrossentropy", "softmax_cross_entropy"},
    {"sparsecategoricalcrossentropy", "softmax_cross_entropy"},
    {"bce", "binary_cross_entropy"},
    {"bceloss", "binary_cross_entropy"},
    {"bcewithlogitsloss", "binary_cross_entropy"},
    {"mse", "mean_squared_error"},
    {"mseloss", "mean_squared_error"},
    {"l2loss", "mean_squared_error"},
    /* attributes */
    {"filters", "out"},
    {"outchannels", "out"},
    {"numoutput", "out"},
    {"units", "out"},
    {"outfeatures", "out"},
    {"kernelsize", "kernel"},
    {"kernelshape", "kernel"},
    {"poolsize", "kernel"},
    {"padding", "pad"},
    {"pads", "pad"},
    {"outputpadding", "output_pad"},
    {"dilationrate", "dilation"},
    {"usebias", "bias"},
    {"epsilon", "eps"},
    {"negativeslope", "slope"},
    {"alpha", "slope"},
    {"rate", "p"},
    {"dropprob", "p"},
    {"ceilmode", "ceil"},
    {"scalefactor", "scale"},
    {"interpolation", "mode"},
    {"ignoreindex", "ignore"},
    {"ignorelabel", "ignore"},
    /* sections and training */
    {"modules", "layers"},
    {"architecture", "layers"},
    {"criterion", "loss"},
    {"losses", "loss"},
    {"numclasses", "classes"},
    {"batchsize", "batch"},
    {"minibatch", "batch"},
    {"numepochs", "epochs"},
    {"maxepochs", "epochs"},
    {"learningrate", "lr"},
    {"learningrate", "optimizer"},
    {"wd", "weight_decay"},
    {"scheduler", "schedule"},
    {"lrscheduler", "schedule"},
    {"lrschedule", "schedule"},
    {"learningrateschedule", "schedule"},
    {"transforms", "augment"},
    {"augmentation", "augment"},
    {"augmentations", "augment"},
    {"dataset", "data"},
    {"datadir", "data"},
    {"datapath", "data"},
    {"precision", "dtype"},
    {"amp", "dtype"},
    {"half", "dtype"},
    /* options */
    {"weights", "init"},
    {"pretrained", "init"},
    {"pretrained", "weights"},
    {"checkpoint", "weights"},
    {"checkpoint", "init"},
    {"ckpt", "weights"},
    {"ckpt", "init"},
    {"outdir", "out"},
    {"outputdir", "out"},
    {"savedir", "out"},
    {"workers", "threads"},
    {"numworkers", "threads"},
    {"numthreads", "threads"},
    {"jobs", "threads"},
    {"randomseed", "seed"},
    {"topk", "top"},
};

/* WORD in small letters without - and _; false when it is too long. */
static bool plain(const char *word, char out[MAX_WORD])
{
    size_t n = 0;
    for (const char *p = word; *p; p++) {
        if (*p == '-' || *p == '_' || *p == ' ') continue;
        if (n + 1 >= MAX_WORD) return false;
        out[n++] = (char)tolower((unsigned char)*p);
    }
    out[n] = '\0';
    return n > 0;
}

static const char *candidate(const char *word, const char *const *candidates, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (candidates[i] && strcmp(candidates[i], word) == 0) return candidates[i];
    return NULL;
}

static const char *synonym(const char *word, const char *const *candidates, size_t count)
{
    char given[MAX_WORD];
    if (!plain(word, given)) return NULL;
    for (size_t i = 0; i < sizeof synonyms / sizeof *synonyms; i++) {
        const char *found = strcmp(synonyms[i].theirs, given) ? NULL : candidate(synonyms[i].ours, candidates, count);
        if (found) return found;
    }
    return NULL;
}

/* Damerau–Levenshtein distance (adjacent transpositions count one), optimal string alignment. */
static size_t distance(const char *a, size_t la, const char *b, size_t lb)
{
    size_t row[3][MAX_WORD + 1];
    for (size_t j = 0; j <= lb; j++) row[0][j] = j;
    for (size_t i = 1; i <= la; i++) {
        size_t *cur = row[i % 3], *prev = row[(i + 2) % 3], *prev2 = row[(i + 1) % 3];
        cur[0] = i;
        for (size_t j = 1; j <= lb; j++) {
            size_t best = prev[j - 1] + (a[i - 1] != b[j - 1]);
            if (prev[j] + 1 < best) best = prev[j] + 1;
            if (cur[j - 1] + 1 < best) best = cur[j - 1] + 1;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] && prev2[j - 2] + 1 < best)
                best = prev2[j - 2] + 1;
            cur[j] = best;
        }
    }
    return row[la % 3][lb];
}

static const char *nearest(const char *word, const char *const *candidates, size_t count)
{
    const char *best = NULL;
    size_t len = strlen(word), limit = len <= 2 ? 1 : len <= 5 ? 2 : 3, least = limit + 1;
    for (size_t i = 0; i < count && i < MAX_COMPARED && len < MAX_WORD; i++) {
        size_t other = candidates[i] ? strlen(candidates[i]) : 0;
        if (other == 0 || other >= MAX_WORD) continue;
        /* a word that only begins alike is near too: 'kern' for 'kernel' */
        bool begins = len >= 3 && strncmp(word, candidates[i], len) == 0;
        if (!begins && (other > len + limit || len > other + limit)) continue;
        size_t d = distance(word, len, candidates[i], other);
        if (begins && d > limit) d = limit;
        if (d < least && d < other) {
            least = d;
            best = candidates[i];
        }
    }
    return best;
}

/* The candidate that is WORD but for capitals, - and _. */
static const char *spelt_otherwise(const char *word, const char *const *candidates, size_t count)
{
    char given[MAX_WORD], other[MAX_WORD];
    if (!plain(word, given)) return NULL;
    for (size_t i = 0; i < count && i < MAX_COMPARED; i++)
        if (candidates[i] && plain(candidates[i], other) && strcmp(given, other) == 0) return candidates[i];
    return NULL;
}

/* What is behind the module of nn.Conv2d or tf.keras.layers.Dense. */
static const char *without_module(const char *word)
{
    const char *dot = strrchr(word, '.');
    bool letters = true;
    for (const char *p = word; dot && p < dot; p++) letters &= isalpha((unsigned char)*p) || *p == '.';
    return dot && letters ? dot + 1 : word;
}

const char *did_you_mean(const char *word, const char *const *candidates, size_t count)
{
    const char *bare = without_module(word);
    const char *same = spelt_otherwise(bare, candidates, count);
    const char *known = same ? same : synonym(bare, candidates, count);
    return known ? known : nearest(bare, candidates, count);
}
