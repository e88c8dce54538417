/* rnc as a library: a network that is written down in this program is compiled when it runs, checked against its
   references, and run. The interface is compiler/driver/driver.h. */
#include <stdio.h>
#include <string.h>
#include "driver/verify.h"

static const char spec[] = "rnc: 1\n"
                           "model: tiny\n"
                           "inputs: {image: {shape: [1, 8, 8]}}\n"
                           "layers:\n"
                           "  - conv2d: {name: conv, out: 16, kernel: 3, pad: 1}\n"
                           "  - relu\n"
                           "  - global_avg_pool\n"
                           "  - dense: {name: fc, out: 3}\n"
                           "  - softmax: {as: classes}\n"
                           "outputs: [classes]\n";

static bool run(struct driver *d, const struct spec *s, struct built *b, struct session *net)
{
    float image[64] = {[27] = 1, [28] = 1, [35] = 1, [36] = 1}, classes[3];
    const struct open_options fresh = {.weights = NULL}; /* or a safetensors file */
    if (!driver_compile(d, s, &(struct model_options){.batch = 1}, b) || !driver_open(d, b, &fresh, net)) return false;
    if (!driver_run(d, net, &(struct rnc_run){.n = 1}, (const void *[]){image}, (void *[]){classes})) return false;
    printf("%s: %.4f %.4f %.4f\n", s->name, (double)classes[0], (double)classes[1], (double)classes[2]);
    return true;
}

int main(void)
{
    struct driver *d = driver_new();
    struct built b = {0};
    struct session net = {0};
    struct verify_result r;
    d->options.seed = 1;
    const struct spec *s = driver_load_text(d, "tiny", spec, strlen(spec), NULL);
    struct verify_options o = VERIFY_DEFAULTS;
    o.inference_only = true; /* it has no loss */
    if (s && run(d, s, &b, &net) && driver_verify(d, s, &o, &r))
        printf("%d of %d checks passed\n", r.checks - r.failed, r.checks);
    diags_print(d->diags, stderr, false); /* what was wrong, with its place in the text */
    int status = diags_exit_status(d->diags);
    session_close(&net);
    driver_release(&b);
    driver_free(d);
    return status;
}
