/* picture.c: a picture in place of an array. */
#include "cli/picture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "runtime/io/image.h"

static const struct span nowhere = {NULL, 0, 0, 0};

bool picture_is(const char *path)
{
    static const char npy[6] = {'\x93', 'N', 'U', 'M', 'P', 'Y'}, suffix[] = ".npy";
    char head[sizeof npy] = {0};
    struct stat st;
    if (stat(path, &st) != 0 || !S_ISREG(st.st_mode)) return false;
    FILE *f = fopen(path, "rb");
    if (!f) return false;
    size_t n = fread(head, 1, sizeof head, f), length = strlen(path);
    fclose(f);
    if (n == sizeof head && memcmp(head, npy, sizeof npy) == 0) return false;
    static const unsigned char png[] = {0x89, 'P', 'N', 'G'}, jpeg[] = {0xFF, 0xD8, 0xFF};
    if (n >= sizeof png && (memcmp(head, png, sizeof png) == 0 || memcmp(head, jpeg, sizeof jpeg) == 0)) return true;
    return length < sizeof suffix || strcmp(path + length - (sizeof suffix - 1), suffix) != 0;
}

static const struct rnc_port *image_port(struct cli *c, const struct dataset_model *m, const char *path,
                                         const char *name)
{
    const struct rnc_problem *p = &m->problem;
    for (int i = 0; i < p->nports; i++) {
        const struct rnc_port *port = &p->ports[i];
        if (!port->target && strcmp(port->name, name) == 0 && port->rank == 3 && port->dtype == RNC_F32) return port;
    }
    struct diag *d = diag_error(c->diags, nowhere, "%s is no .npy array, and the input '%s' of %s takes no picture",
                                path, name, m->spec->name);
    diag_note(d, "pictures are for inputs of images, shape [C, H, W]");
    return NULL;
}

/* The pixels as they are, in [0, 1]. */
static bool read_raw(struct cli *c, const char *path, const struct rnc_port *port, float *out, struct rnc_status *s)
{
    const int64_t channels = port->dim[0], height = port->dim[1], width = port->dim[2];
    struct rnc_preprocess p = {.geometry = {.fit = RNC_FIT_RESIZE}, .channels = channels, .white = 1};
    struct rnc_image image = {0};
    for (int i = 0; i < RNC_PREPROCESS_CHANNELS; i++) p.std[i] = 1;
    if (!rnc_image_read(path, channels == 1 || channels == 3 ? channels : 0, &image, s)) return false;
    bool ok = image.width == width && image.height == height && image.channels == channels;
    if (ok) {
        const struct rnc_pixels pixels = rnc_image_pixels(&image);
        ok = rnc_preprocess_pixels(&p, &pixels, height, width, out, s);
    } else {
        struct diag *d = diag_error(c->diags, nowhere,
                                    "%s is %lld × %lld × %lld, the input '%s' takes %lld × %lld × "
                                    "%lld (C × H × W)",
                                    path, (long long)image.channels, (long long)image.height, (long long)image.width,
                                    port->name, (long long)channels, (long long)height, (long long)width);
        diag_note(d, "--raw leaves the size as it is; without it the picture is fitted");
    }
    rnc_image_free(&image);
    return ok;
}

static bool read_fitted(struct cli *c, const struct picture_request *r, const struct rnc_port *port, float *out,
                        const char **line, struct rnc_status *s)
{
    struct dataset_model m = *r->model;
    struct rnc_loader_config l = dataset_loader(&m, false);
    struct rnc_safetensors *f = r->weights ? rnc_st_open(r->weights, s) : NULL;
    m.image = port;
    l.ports = port; /* the others have arrays of their own */
    l.nports = 1;
    if (r->weights && !f) return false;
    bool ok = dataset_preprocess(c, &m, r->normalize, f, NULL, false, &l, line);
    if (f) rnc_st_close(f);
    return ok && rnc_loader_image(&l, r->path, out, s);
}

bool picture_read(struct cli *c, const struct picture_request *r, const char *name, struct rnc_npy *a,
                  const char **line)
{
    struct rnc_status s = {0};
    const struct rnc_port *port = image_port(c, r->model, r->path, name);
    if (!port) return false;
    float *pixels = malloc((size_t)rnc_port_elements(port) * sizeof *pixels);
    *a = (struct rnc_npy){.dtype = RNC_NPY_F32, .rank = 4, .dim = {1}, .data = pixels};
    for (int i = 0; i < 3; i++) a->dim[i + 1] = port->dim[i];
    *line = "images: pixels / 255 as they are (--raw)";
    if (!pixels) rnc_fail(&s, RNC_ENV, "no memory for image %s", r->path);
    else if (r->raw ? read_raw(c, r->path, port, pixels, &s) : read_fitted(c, r, port, pixels, line, &s)) return true;
    if (s.code) driver_fail(c->driver, &s);
    return false;
}
