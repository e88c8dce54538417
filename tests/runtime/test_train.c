/* The trainer, on a model written by hand (softmax regression with momentum) and the built-in digits: it learns, an
   interrupted run goes on with the same bits, whatever differs is refused, and nothing is lost when something fails. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "runtime/io/file.h"
#include "runtime/io/npy.h"
#include "runtime/rt/pool.h"
#include "runtime/recipe/augment.h"
#include "runtime/recipe/schedule.h"
#include "runtime/train/checkpoint.h"
#include "runtime/train/train.h"
#include "tests/support/choice.h"
#include "tests/support/hand.h"
#include "tests/support/scratch.h"

/* ---- running it */

static struct rnc_status s;
static struct rnc_data data;
static struct rnc_pool *pool;
static struct rnc_parallel par;
static volatile int stop;
static struct rnc_choice augment[1];

static struct rnc_problem found; /* with its columns */

/* The column of that name. */
static int at(const char *name)
{
    int k = 0;
    while (k < found.ncolumns && strcmp(found.column[k].name, name) != 0) k++;
    assert_true(k < found.ncolumns);
    return k;
}

static const struct rnc_fact by_hand = {"test.sums", "fc: dense\nfc: by hand", "the order of a sum", true};

static struct rnc_train_config config(const char *out, int64_t epochs)
{
    hand_problem(&found);
    struct rnc_train_config c = {
        .train = &train_model,
        .infer = &infer_model,
        .problem = &found,
        .values = hand_values,
        .par = &par,
        .data = &data,
        .epochs = epochs,
        .seed = 3,
        .spec_hash = 77,
        .facts = &by_hand,
        .nfacts = 1,
        .out = out,
        .schedule = choice_of(&rnc_schedules, "cosine", "warmup_epochs=0.25"),
        .lr = 0.05,
        .title = "by hand",
        .stop = &stop,
        .loader = {.ports = ports, .nports = 2, .shuffle = true, .augment = augment, .naugment = 1}};
    struct rnc_preprocess *p = &c.loader.preprocess;
    *p = (struct rnc_preprocess){.channels = 1, .white = 1};
    rnc_data_measure(&data.train, 1, p->mean, p->std, &s);
    return c;
}

/* Stops at a step, or at the first batch of an epoch's validation. */
struct stop_at {
    int64_t step, validation_of;
};
static void maybe_stop(void *ctx, const struct rnc_progress *p)
{
    const struct stop_at *at = ctx;
    if (p->event == RNC_EVENT_STEP && p->step == at->step) stop = 1;
    if (p->event == RNC_EVENT_VALIDATION && p->epoch == at->validation_of) stop = 1;
}

static void run(struct rnc_train_config *c, struct rnc_train_result *r)
{
    if (!rnc_train(c, r, NULL, &s)) fail_msg("training failed: %s", s.message);
}

static void learns(void **state)
{
    (void)state;
    struct rnc_train_result r;
    struct rnc_train_config c = config(in_scratch("learns"), 3);
    run(&c, &r);
    assert_true(r.best > 0.85 && r.best_epoch >= 1 && r.epochs == 3 && r.step == 3 * 63 && !r.stopped);
    assert_true(r.last.val[at("top5")] > r.last.val[at("accuracy")]);
    assert_string_equal(r.primary->name, "accuracy");
    static const char *const files[] = {"learns/last.safetensors", "learns/best.safetensors", "learns/log.csv",
                                        "learns/steps.csv",        "learns/curves.png",       "learns/curves.svg"};
    for (int k = 0; k < 6; k++) assert_true(file_exists(in_scratch(files[k])));
    assert_int_equal(count_entries(in_scratch("learns")), 6);
}

static void same_file(const char *a, const char *b)
{
    size_t x, y;
    char *p = read_file(in_scratch(a), &x), *q = read_file(in_scratch(b), &y);
    assert_non_null(p);
    assert_non_null(q);
    assert_int_equal(x, y);
    assert_memory_equal(p, q, x);
    free(p);
    free(q);
}

/* The run of `learns`, interrupted at AT and resumed, in a folder of its own. */
static void interrupt_and_resume(const char *name, struct stop_at at, int64_t expect_step)
{
    struct rnc_train_result r;
    char path[64];
    struct rnc_train_config c = config(in_scratch(name), 3);
    c.progress = maybe_stop;
    c.ctx = &at;
    run(&c, &r);
    assert_true(r.stopped && r.step == expect_step);
    stop = 0;
    struct rnc_train_config again = config(in_scratch(name), 3);
    again.resume = true;
    again.par = NULL; /* another number of threads changes nothing */
    run(&again, &r);
    assert_int_equal(r.resumed_step, expect_step);
    assert_int_equal(r.step, 3 * 63);
    snprintf(path, sizeof path, "%s/last.safetensors", name);
    same_file("learns/last.safetensors", path);
    snprintf(path, sizeof path, "%s/best.safetensors", name);
    same_file("learns/best.safetensors", path);
    snprintf(path, sizeof path, "%s/steps.csv", name);
    same_file("learns/steps.csv", path);
}

static void resumes_exactly(void **state)
{
    (void)state;
    interrupt_and_resume("middle", (struct stop_at){.step = 100}, 100); /* within epoch 2 */
    interrupt_and_resume("first", (struct stop_at){.step = 1}, 1);
    interrupt_and_resume("boundary", (struct stop_at){.step = 126},
                         126); /* its last step; the validation is still due */
    interrupt_and_resume("validation", (struct stop_at){.validation_of = 1}, 63);
}

/* A batch of ignored labels is no step, before an interruption or behind it: weights, momentum and counters stay. */
static void passes_over_batches_without_labels(void **state)
{
    (void)state;
    enum { FIRST = 5 * N, SECOND = 40 * N, IGNORED = 3, OF_IGNORED = 6 /* the digits lie class by class */ };
    struct rnc_data was = data;
    int32_t *labels = malloc((size_t)data.train.count * sizeof *labels);
    assert_non_null(labels);
    memcpy(labels, data.train.labels, (size_t)data.train.count * sizeof *labels);
    for (int k = 0; k < N; k++) labels[FIRST + k] = labels[SECOND + k] = IGNORED;
    data.train.labels = labels;
    terms[0].ignore = ports[1].ignore = IGNORED;
    struct rnc_train_result r;
    static const char *const names[] = {"passes", "passes-resumed"};
    for (int k = 0; k < 2; k++) {
        struct stop_at stop_at = {.step = k ? 20 : -1};
        int64_t before = 0;
        struct rnc_train_config c = config(in_scratch(names[k]), 2);
        c.loader.shuffle = false;
        c.progress = maybe_stop;
        c.ctx = &stop_at;
        run(&c, &r);
        if (k) {
            assert_true(r.stopped && r.step == 20);
            before = r.passed_over;
            stop = 0;
            c.resume = true;
            c.progress = NULL;
            run(&c, &r);
        }
        assert_int_equal(before + r.passed_over, 2 * (2 + OF_IGNORED));
        assert_int_equal(r.step, 2 * 63 - (before + r.passed_over));
    }
    same_file("passes/last.safetensors", "passes-resumed/last.safetensors");
    same_file("passes/steps.csv", "passes-resumed/steps.csv");
    terms[0].ignore = ports[1].ignore = -1;
    data = was;
    free(labels);
}

static void resuming_refuses_another_run(void **state)
{
    (void)state;
    struct rnc_train_result r;
    struct rnc_train_config c = config(in_scratch("learns"), 3);
    c.resume = true;
    c.seed = 4;
    expect_failure(&s, rnc_train(&c, &r, NULL, &s), RNC_USER, "the seed was '3' and is now '4'");
    c.seed = 3;
    c.spec_hash = 78;
    expect_failure(&s, rnc_train(&c, &r, NULL, &s), RNC_USER, "the spec");
    c.spec_hash = 77;
    c.loader.naugment = 0;
    expect_failure(&s, rnc_train(&c, &r, NULL, &s), RNC_USER, "'shuffled, crop: {pad: 1}' and is now 'shuffled'");
    c.loader.naugment = 1;
    c.epochs = 4;
    expect_failure(&s, rnc_train(&c, &r, NULL, &s), RNC_USER, "the number of epochs was '3' and is now '4'");
    c.epochs = 3;
    c.lr = 0.1;
    expect_failure(&s, rnc_train(&c, &r, NULL, &s), RNC_USER, "the learning rate was 0.05 and is now 0.1");
    c.lr = 0.05;
    train_model.lanes = 8;
    expect_failure(&s, rnc_train(&c, &r, NULL, &s), RNC_USER, "the vector length");
    train_model.lanes = 1;
    const struct rnc_fact foot = {"test.sums", "fc: dense\nfc: by foot", "the order of a sum", true};
    c.facts = &foot;
    expect_failure(&s, rnc_train(&c, &r, NULL, &s), RNC_USER,
                   "the order of a sum was 'fc: by hand' and is now 'fc: by foot'");
    c.facts = &by_hand;
    c.out = in_scratch("nothing");
    expect_failure(&s, rnc_train(&c, &r, NULL, &s), RNC_USER, "nothing to resume");
    c.out = in_scratch("learns");
    run(&c, &r); /* finished already: nothing to do */
    assert_int_equal(r.step, 3 * 63);
    same_file("learns/last.safetensors", "middle/last.safetensors");
}

static void starts_from_weights_and_keeps_the_old_run(void **state)
{
    (void)state;
    struct rnc_train_result fresh, r;
    struct rnc_train_config c = config(in_scratch("fresh"), 1);
    run(&c, &fresh);
    c = config(in_scratch("validation"), 1);
    c.init = in_scratch("learns/best.safetensors");
    expect_failure(&s, rnc_train(&c, &r, NULL, &s), RNC_USER, "holds a run already");
    c.overwrite = true;
    run(&c, &r);
    assert_true(r.last.train_loss < 0.7 * fresh.last.train_loss);
    same_file("learns/last.safetensors", "validation/last.safetensors.old");
}

static void stops_when_the_loss_diverges(void **state)
{
    (void)state;
    struct rnc_train_result r;
    struct rnc_train_config c = config(in_scratch("diverges"), 1);
    run(&c, &r);
    size_t before, after;
    char *was = read_file(in_scratch("diverges/last.safetensors"), &before);
    c.resume = c.extends = true;
    c.epochs = 2;
    c.schedule_epochs = 1;
    c.late_lr = 1e38;
    expect_failure(&s, rnc_train(&c, &r, NULL, &s), RNC_USER, "training has diverged");
    char *is = read_file(in_scratch("diverges/last.safetensors"), &after);
    assert_int_equal(before, after);
    assert_memory_equal(was, is, before); /* the last good checkpoint */
    free(was);
    free(is);
}

static void fails_early_where_it_cannot_write(void **state)
{
    (void)state;
    struct rnc_train_result r;
    write_file(in_scratch("plain"), "x", 1);
    struct rnc_train_config c = config(in_scratch("plain/out"), 1);
    expect_failure(&s, rnc_train(&c, &r, NULL, &s), RNC_ENV, "can't make the directory");
    assert_int_equal(r.step, 0);
}

static void full_disk_keeps_the_last_checkpoint(void **state)
{
    (void)state;
    struct rnc_train_result r;
    struct rnc_train_config c = config(in_scratch("full"), 1);
    run(&c, &r);
    size_t before, after;
    char *was = read_file(in_scratch("full/last.safetensors"), &before);
    int entries = count_entries(in_scratch("full"));
    struct rlimit old, small = {.rlim_cur = 8192};
    getrlimit(RLIMIT_FSIZE, &old);
    small.rlim_max = old.rlim_max;
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &small);
    c.resume = c.extends = true;
    c.epochs = 2;
    c.schedule_epochs = 1;
    c.late_lr = 0.01;
    bool ok = rnc_train(&c, &r, NULL, &s);
    setrlimit(RLIMIT_FSIZE, &old);
    expect_failure(&s, ok, RNC_ENV, "can't write");
    char *is = read_file(in_scratch("full/last.safetensors"), &after);
    assert_int_equal(before, after);
    assert_memory_equal(was, is, before);
    assert_int_equal(count_entries(in_scratch("full")), entries);
    free(was);
    free(is);
}

/* A caller's metadata, as many as it has, are all in the file. */
static void checkpoints_keep_all_metadata(void **state)
{
    (void)state;
    enum { MANY = 100 };
    const char *path = in_scratch("many.safetensors");
    char key[MANY][16];
    struct rnc_fact meta[MANY];
    for (int k = 0; k < MANY; k++) {
        snprintf(key[k], sizeof key[k], "test.%d", k);
        meta[k] = (struct rnc_fact){.key = key[k], .value = key[MANY - 1 - k]};
    }
    struct rnc_instance *i = rnc_open(&train_model, NULL, 0, &s);
    assert_true(i && rnc_initialize(i, 1, &s));
    struct rnc_checkpoint c = {.data = "d", .order = "o"};
    assert_true(rnc_checkpoint_save(i, &c, true, meta, MANY, path, &s));
    struct rnc_safetensors *f = rnc_st_open(path, &s);
    assert_non_null(f);
    for (int k = 0; k < MANY; k++) {
        const char *value = rnc_st_meta(f, key[k]);
        assert_non_null(value);
        assert_string_equal(value, key[MANY - 1 - k]);
    }
    rnc_st_close(f);
    rnc_close(i);
}

/* What a task counts in an epoch goes into the checkpoint of a run that stops within it, and comes back. */
static void checkpoints_keep_counts(void **state)
{
    (void)state;
    const char *path = in_scratch("counts.safetensors");
    int64_t counts[4] = {7, 0, 123456789012, 3}, back[4] = {0};
    struct rnc_instance *i = rnc_open(&train_model, NULL, 0, &s);
    assert_true(i && rnc_initialize(i, 1, &s));
    double sums[2] = {1.0 / 3, -0.0}, sums_back[2] = {0};
    struct rnc_checkpoint c = {.epochs = 1,
                               .samples = 5,
                               .counts = counts,
                               .ncounts = 4,
                               .sums = sums,
                               .nsums = 2,
                               .data = "d",
                               .order = "o"},
                          got;
    assert_true(rnc_checkpoint_save(i, &c, true, NULL, 0, path, &s));
    c.counts = back;
    c.sums = sums_back;
    assert_true(rnc_checkpoint_load(i, &c, NULL, 0, path, &got, NULL, &s) && got.samples == 5);
    assert_memory_equal(back, counts, sizeof counts);
    assert_memory_equal(sums_back, sums, sizeof sums);
    int64_t more[5] = {0};
    c.counts = more;
    c.ncounts = 5;
    expect_failure(&s, rnc_checkpoint_load(i, &c, NULL, 0, path, &got, NULL, &s), RNC_USER, "are not 5 numbers");
    rnc_close(i);
}

/* ---- the parts */

static struct rnc_column column[16];

/* The metric NAME of a value of KIND and TYPE beside the truth of N samples. */
static double measure(const char *name, enum rnc_value_kind kind, struct rnc_type type, const float *out,
                      struct rnc_port target, const void *truth, int64_t n)
{
    const struct rnc_tensor output = {.name = "out", .role = RNC_ROLE_OUTPUT, .type = type};
    const struct rnc_model m = {.name = "measured", .tensors = &output, .ntensors = 1, .noutputs = 1};
    const struct rnc_pair pair = {"out", target.name, kind, rnc_task_of(kind, &target)};
    struct rnc_problem p = {.ports = &target, .nports = 1, .pairs = &pair, .npairs = 1};
    const struct rnc_named named = {target.name, truth};
    struct rnc_tally t;
    void *buffers[] = {(void *)(uintptr_t)out};
    assert_true(rnc_problem_columns(&p, column, NULL, 0, &s) && rnc_tally_begin(&t, &p, &m, &s));
    rnc_tally_add(&t, buffers, &(struct rnc_batch){.n = n, .tensors = &named, .ntensors = 1});
    int k = 0;
    while (k < p.ncolumns && strcmp(p.column[k].name, name) != 0) k++;
    assert_true(k < p.ncolumns);
    double v = rnc_tally_column(&t, k);
    rnc_tally_free(&t);
    return v;
}

static void metrics(void **state)
{
    (void)state;
    struct rnc_type map = {.rank = 4, .dim = {1, 2, 1, 4}}, flat = {.rank = 2, .dim = {2, 6}};
    struct rnc_port mask = {.name = "mask", .target = true, .dtype = RNC_I64, .rank = 2, .dim = {1, 4}, .ignore = 255};
    const float scores[8] = {1, 1, 0, 0, 0, 0, 1, 1}; /* predicted: 0 0 1 1 */
    const int64_t truth[4] = {0, 1, 1, 255}, labels[2] = {0, 5};
    assert_true(fabs(measure("pixel_accuracy", RNC_LOGITS, map, scores, mask, truth, 1) - 2.0 / 3) < 1e-12);
    assert_true(fabs(measure("miou", RNC_LOGITS, map, scores, mask, truth, 1) - 0.5) < 1e-12);
    assert_true(fabs(measure("dice", RNC_LOGITS, map, scores, mask, truth, 1) - 2.0 / 3) < 1e-12);
    const float logits[12] = {6, 5, 4, 3, 2, 1, 6, 5, 4, 3, 2, 1};
    assert_true(measure("accuracy", RNC_LOGITS, flat, logits, ports[1], labels, 2) == 0.5);
    const int64_t third[2] = {2, 3}; /* of six that fall: among three, and just not */
    assert_true(measure("top3", RNC_PROBABILITIES, flat, logits, ports[1], third, 2) == 0.5);
    assert_true(measure("top5", RNC_LOGITS, flat, logits, ports[1], labels, 2) == 0.5);
    struct rnc_port tensor = {.name = "y", .target = true, .rank = 1, .dim = {6}, .ignore = -1};
    const float y[12] = {6, 5, 4, 3, 2, 3, 6, 5, 4, 3, 2, 4}; /* off by 2 and by 3 */
    assert_true(fabs(measure("mean_squared_error", RNC_NUMBERS, flat, logits, tensor, y, 2) - 13.0 / 12) < 1e-12);
    assert_true(fabs(measure("mean_absolute_error", RNC_NUMBERS, flat, logits, tensor, y, 2) - 5.0 / 12) < 1e-12);
}

/* True and false: a logit of 0, a probability of a half and beyond are true. */
static void binary_metrics(void **state)
{
    (void)state;
    struct rnc_type flat = {.rank = 2, .dim = {4, 1}}, map = {.rank = 4, .dim = {1, 1, 2, 2}};
    struct rnc_port
        answer = {.name = "y", .target = true, .rank = 1, .dim = {1}, .ignore = -1, .binary = true, .exact = true},
        mask = {.name = "m", .target = true, .rank = 3, .dim = {1, 2, 2}, .ignore = -1, .binary = true, .exact = true};
    const float logits[4] = {3, 0, -1, -0.1f}, probabilities[4] = {0.9f, 0.5f, 0.4f, 0.1f}, truth[4] = {1, 0, 1, 0};
    assert_true(measure("accuracy", RNC_BINARY_LOGITS, flat, logits, answer, truth, 4) == 0.5);
    assert_true(measure("f1", RNC_BINARY_PROBABILITIES, flat, probabilities, answer, truth, 4) == 0.5);
    assert_true(measure("precision", RNC_BINARY_LOGITS, flat, logits, answer, truth, 4) == 0.5);
    assert_true(measure("recall", RNC_BINARY_LOGITS, flat, logits, answer, truth, 4) == 0.5);
    assert_true(measure("pixel_accuracy", RNC_BINARY_LOGITS, map, logits, mask, truth, 1) == 0.5);
    assert_true(fabs(measure("iou", RNC_BINARY_LOGITS, map, logits, mask, truth, 1) - 1.0 / 3) < 1e-12);
    assert_true(fabs(measure("miou", RNC_BINARY_PROBABILITIES, map, probabilities, mask, truth, 1) - 1.0 / 3) < 1e-12);
    assert_true(measure("dice", RNC_BINARY_LOGITS, map, logits, mask, truth, 1) == 0.5);
}

/* Two losses: each a mean over what counts of its own target, and together their sum. */
static void losses_count_labels(void **state)
{
    (void)state;
    static const struct rnc_tensor outputs[] = {{.name = "loss", .role = RNC_ROLE_OUTPUT, .offset = 0},
                                                {.name = "loss.a", .role = RNC_ROLE_OUTPUT, .offset = 1},
                                                {.name = "loss.b", .role = RNC_ROLE_OUTPUT, .offset = 2}};
    static const struct rnc_model m = {.name = "two", .tensors = outputs, .ntensors = 3, .noutputs = 3};
    static const struct rnc_port both[] = {
        {.name = "label", .target = true, .dtype = RNC_I64, .classes = 3, .ignore = 1},
        {.name = "number", .target = true, .rank = 1, .dim = {1}, .ignore = -1}};
    static const struct rnc_term two[] = {
        {.name = "a", .output = "loss.a", .target = "label", .labels = true, .classes = 3, .ignore = 1},
        {.name = "b", .output = "loss.b", .target = "number"}};
    struct rnc_problem p = {.ports = both, .nports = 2, .terms = two, .nterms = 2};
    struct rnc_tally t;
    float total = 3, a = 1, b = 2, number[4] = {0};
    void *out[] = {&total, &a, &b};
    int64_t first[4] = {0, 2, 0, 2}, second[4] = {1, 1, 3, 0}, none[4] = {1, 1, 3, -2};
    struct rnc_named named[] = {{"label", first}, {"number", number}};
    struct rnc_batch batch = {.n = 4, .tensors = named, .ntensors = 2};
    assert_true(rnc_problem_columns(&p, column, NULL, 0, &s) && rnc_tally_begin(&t, &p, &m, &s));
    rnc_tally_add(&t, out, &batch); /* 4 labels count, 4 samples */
    named[0].data = second;         /* 1 label */
    a = 6, b = 4;
    rnc_tally_add(&t, out, &batch);
    named[0].data = none;
    a = NAN, b = 3;
    rnc_tally_add(&t, out, &batch);
    assert_true(fabs(rnc_tally_loss(&t) - ((1.0 * 4 + 6.0) / 5 + (2.0 + 4.0 + 3.0) / 3)) < 1e-12);
    assert_true(rnc_batch_counts(&p, &batch)); /* the numbers do */
    p.nterms = 1;
    assert_false(rnc_batch_counts(&p, &batch));
    rnc_tally_free(&t);
}

/* Each has a name of its own, and what decides is what was asked for, else a single pair's first metric. */
static void tasks(void **state)
{
    (void)state;
    for (int k = 0; rnc_metric_at(k); k++) assert_ptr_equal(rnc_metric_named(rnc_metric_at(k)->name), rnc_metric_at(k));
    assert_null(rnc_metric_named("no_such_metric"));
    struct rnc_port targets[] = {{.name = "mask", .target = true, .dtype = RNC_I64, .rank = 2, .dim = {2, 2}},
                                 {.name = "box", .target = true, .rank = 1, .dim = {4}}};
    struct rnc_pair both[] = {{"boxes", "box", RNC_NUMBERS, rnc_task_of(RNC_NUMBERS, &targets[1])},
                              {"map", "mask", RNC_LOGITS, rnc_task_of(RNC_LOGITS, &targets[0])}};
    struct rnc_problem p = {.ports = targets, .nports = 2, .pairs = both, .npairs = 2};
    const struct rnc_metric *asked[] = {rnc_metric_named("miou")};
    assert_true(rnc_problem_columns(&p, column, NULL, 0, &s));
    assert_string_equal(p.column[p.primary].name, "loss");
    assert_true(rnc_problem_columns(&p, column, asked, 1, &s));
    assert_string_equal(p.column[p.primary].name, "map.miou");
    asked[0] = rnc_metric_named("pixel_accuracy");
    assert_true(rnc_problem_columns(&p, column, asked, 1, &s));
    assert_string_equal(p.column[p.primary].name, "map.pixel_accuracy");
    p.pairs = &both[1];
    p.npairs = 1;
    assert_true(rnc_problem_columns(&p, column, NULL, 0, &s));
    assert_string_equal(p.column[p.primary].name, "pixel_accuracy");
    assert_true(rnc_metric_better(rnc_metric_named("loss"), 1.0, 2.0));
    assert_true(rnc_metric_better(rnc_metric_named("accuracy"), 2.0, 1.0));
}

/* Every sample once an epoch, in another order each time, and the same from any first batch on. */
static void loader_orders(void **state)
{
    (void)state;
    struct rnc_loader_config c = config("", 1).loader;
    c.data = &data.train;
    c.batch = N;
    c.seed = 9;
    struct rnc_loader *l = rnc_loader_new(&c, &s);
    assert_non_null(l);
    static float kept[2][400];
    int seen[4000] = {0}, moved = 0;
    int64_t first[2];
    struct rnc_batch b;
    for (int64_t epoch = 0; epoch < 2; epoch++) {
        int64_t count = 0;
        rnc_loader_start(l, epoch, 0);
        while (rnc_loader_next(l, &b, &s) && b.n) {
            if (count == 0) first[epoch] = b.index[0];
            for (int64_t k = 0; k < b.n; k++) {
                seen[b.index[k]]++;
                moved += b.index[k] != count + k;
                assert_int_equal(((const int64_t *)rnc_batch_find(&b, "label"))[k], data.train.labels[b.index[k]]);
            }
            if (epoch == 1 && count == 40 * N) memcpy(kept[0], rnc_batch_find(&b, "image"), sizeof kept[0]);
            count += b.n;
        }
        assert_int_equal(count, 4000);
    }
    for (int k = 0; k < 4000; k++) assert_int_equal(seen[k], 2);
    assert_true(moved > 7900 && first[0] != first[1]);
    rnc_loader_start(l, 1, 40);
    assert_true(rnc_loader_next(l, &b, &s));
    memcpy(kept[1], rnc_batch_find(&b, "image"), sizeof kept[1]);
    assert_memory_equal(kept[0], kept[1], sizeof kept[0]);
    rnc_loader_free(l);
    struct rnc_port other[2] = {ports[0], ports[1]};
    other[0].dim[1] = 28;
    c.ports = other;
    expect_failure(&s, rnc_loader_new(&c, &s) != NULL, RNC_USER, "the model wants 1 × 28 × 20");
}

/* The built-in digits as arrays: image.npy and label.npy in FOLDER, pixels divided by 255. */
static void write_digits(const char *folder, int64_t count)
{
    char path[320];
    float *image = malloc((size_t)(count * PIXELS) * sizeof *image);
    int64_t *label = malloc((size_t)count * sizeof *label);
    assert_true(image && label && rnc_make_directory(folder, &s));
    for (int64_t k = 0; k < count; k++) label[k] = data.train.labels[k];
    for (int64_t k = 0; k < count * PIXELS; k++) image[k] = (float)data.train.pixels[k] / 255.0f;
    struct rnc_npy images = {.rank = 4, .dim = {count, 1, 20, 20}, .data = image},
                   labels = {.dtype = RNC_NPY_I64, .rank = 1, .dim = {count}, .data = label};
    snprintf(path, sizeof path, "%s/image.npy", folder);
    assert_true(rnc_npy_write(path, &images, &s));
    snprintf(path, sizeof path, "%s/label.npy", folder);
    assert_true(rnc_npy_write(path, &labels, &s));
    free(image);
    free(label);
}

/* The trainer does not know whether a batch came from images or from arrays. */
static void learns_from_tensors(void **state)
{
    (void)state;
    char folder[256];
    snprintf(folder, sizeof folder, "%s", in_scratch("arrays"));
    write_digits(folder, 1000);
    struct rnc_data arrays;
    const struct rnc_data_source source = {.path = folder, .ports = ports, .nports = 2};
    if (!rnc_data_open(&arrays, &source, &s)) fail_msg("%s", s.message);
    assert_true(arrays.held_out && arrays.train.count == 900 && arrays.val.count == 100);
    assert_string_equal(arrays.unit, "samples");
    struct rnc_train_result r;
    struct rnc_train_config c = config(in_scratch("tensors"), 3);
    c.data = &arrays;
    expect_failure(&s, rnc_train(&c, &r, NULL, &s), RNC_USER, "augmentation is for images");
    c.loader.naugment = 0;
    run(&c, &r);
    assert_true(r.best > 0.7 && r.step == 3 * 15);
    struct rnc_loader_config l = c.loader;
    l.data = &arrays.val;
    l.ports = ports;
    l.nports = 2;
    l.batch = N;
    l.shuffle = false;
    struct rnc_loader *loader = rnc_loader_new(&l, &s);
    struct rnc_batch b;
    rnc_loader_start(loader, 0, 0);
    assert_true(rnc_loader_next(loader, &b, &s) && b.n == N);
    for (int64_t k = 0; k < b.n; k++) /* every tenth was held out */
        assert_int_equal(((const int64_t *)rnc_batch_find(&b, "label"))[k], data.train.labels[10 * k + 9]);
    assert_null(rnc_batch_find(&b, "mask"));
    rnc_loader_free(loader);
    rnc_data_close(&arrays);
}

static int set_up(void **state)
{
    (void)state;
    scratch_make();
    augment[0] = choice_of(&rnc_augmentations, "crop", "pad=1");
    pool = rnc_pool_new(2, &s);
    par = rnc_pool_parallel(pool);
    return rnc_data_open(&data, &(struct rnc_data_source){0}, &s) ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    rnc_data_close(&data);
    rnc_pool_free(pool);
    scratch_remove();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(metrics),
        cmocka_unit_test(binary_metrics),
        cmocka_unit_test(losses_count_labels),
        cmocka_unit_test(tasks),
        cmocka_unit_test(loader_orders),
        cmocka_unit_test(learns),
        cmocka_unit_test(resumes_exactly),
        cmocka_unit_test(passes_over_batches_without_labels),
        cmocka_unit_test(resuming_refuses_another_run),
        cmocka_unit_test(starts_from_weights_and_keeps_the_old_run),
        cmocka_unit_test(stops_when_the_loss_diverges),
        cmocka_unit_test(fails_early_where_it_cannot_write),
        cmocka_unit_test(full_disk_keeps_the_last_checkpoint),
        cmocka_unit_test(checkpoints_keep_counts),
        cmocka_unit_test(checkpoints_keep_all_metadata),
        cmocka_unit_test(learns_from_tensors),
    };
    return cmocka_run_group_tests_name("train", tests, set_up, tear_down);
}
