/* A run that is killed at every instant that matters: before each rename, removal, sync and new temporary file that it
   makes. What it leaves is consistent, nothing of an earlier run is lost, and it goes on to the same bits. The calls
   are counted by functions of this program in place of the C library's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/io/safetensors.h"
#include "runtime/recipe/schedule.h"
#include "runtime/train/folder.h"
#include "runtime/train/train.h"
#include "tests/support/choice.h"
#include "tests/support/hand.h"
#include "tests/support/scratch.h"

enum { TRAIN = 128, VAL = 64, EPOCHS = 3 };

/* ---- the calls */

static int kill_at, calls; /* 0: never */

static void counted(void)
{
    if (++calls == kill_at) raise(SIGKILL);
}

int rename(const char *from, const char *to)
{
    counted();
    return (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
}

int fsync(int fd)
{
    (void)fd;
    counted();
    return 0; /* the tests are about processes, not about power */
}

int unlink(const char *path)
{
    counted();
    return (int)syscall(SYS_unlinkat, AT_FDCWD, path, 0);
}

/* Pictures are no part of a run's state, and take long. */
static bool no_pictures;
bool rnc_curves_draw(const struct rnc_history *h, const char *dir, const char *title, struct rnc_status *why)
{
    (void)h, (void)dir, (void)title;
    return !no_pictures || rnc_fail(why, RNC_ENV, "no ink");
}

/* ---- the run */

static struct rnc_status s;
static uint8_t pixels[TRAIN + VAL][PIXELS];
static int32_t labels[TRAIN + VAL];
static struct rnc_data data;
static struct rnc_problem found;
static const struct rnc_run_file files[] = {{RNC_RUN_SPEC, "rnc: 1\n"}, {RNC_RUN_JSON, "{}\n"}};

static void make_data(void)
{
    uint32_t x = 1;
    for (int i = 0; i < TRAIN + VAL; i++) {
        labels[i] = i % CLASSES;
        for (int k = 0; k < PIXELS; k++) {
            x = x * 1664525u + 1013904223u;
            pixels[i][k] = (uint8_t)((x >> 24) / 2 + (k / 40 == labels[i] ? 100 : 0));
        }
    }
    struct rnc_dataset part = {.name = "made",
                               .count = TRAIN,
                               .channels = 1,
                               .height = 20,
                               .width = 20,
                               .pixels = pixels[0],
                               .labels = labels};
    data.train = part;
    part.count = VAL;
    part.pixels = pixels[TRAIN];
    part.labels = labels + TRAIN;
    data.val = part;
    data.unit = "images";
    snprintf(data.identity, sizeof data.identity, "made");
}

static struct rnc_train_config config(const char *out)
{
    hand_problem(&found);
    struct rnc_train_config c = {.train = &train_model,
                                 .infer = &infer_model,
                                 .problem = &found,
                                 .values = hand_values,
                                 .data = &data,
                                 .epochs = EPOCHS,
                                 .seed = 3,
                                 .out = out,
                                 .files = files,
                                 .nfiles = 2,
                                 .schedule = choice_of(&rnc_schedules, "constant", ""),
                                 .lr = 0.05,
                                 .title = "by hand",
                                 .loader = {.ports = ports, .nports = 2, .shuffle = true}};
    c.loader.preprocess = (struct rnc_preprocess){.channels = 1, .white = 1, .std = {1}};
    return c;
}

static void run_for(struct rnc_train_config *c, struct rnc_train_result *r)
{
    if (!rnc_train(c, r, NULL, &s)) fail_msg("training failed: %s", s.message);
}

static void run(struct rnc_train_config *c)
{
    struct rnc_train_result r;
    run_for(c, &r);
}

/* In a process of its own, which is killed at call AT. False: it came to its end before. */
static bool killed(struct rnc_train_config *c, int at)
{
    int status;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct rnc_train_result r;
        calls = 0;
        kill_at = at;
        _exit(rnc_train(c, &r, NULL, &s) ? 0 : 1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (WIFSIGNALED(status)) assert_int_equal(WTERMSIG(status), SIGKILL);
    else assert_int_equal(status, 0);
    return WIFSIGNALED(status);
}

/* ---- what it leaves */

static const char *in(const char *dir, const char *name)
{
    static char text[4][256];
    static int next;
    char *t = text[next++ % 4];
    snprintf(t, sizeof text[0], "%s/%s", dir, name);
    return t;
}

static int64_t number_of(const char *path, const char *key)
{
    struct rnc_safetensors *f = rnc_st_open(path, &s);
    assert_non_null(f);
    int64_t n = strtoll(rnc_st_meta(f, key), NULL, 10);
    rnc_st_close(f);
    return n;
}

/* Rows behind the header; 0: no file. */
static int rows_of(const char *path)
{
    size_t bytes;
    char *text = read_file(path, &bytes);
    int rows = 0;
    for (const char *p = text; p && (p = strchr(p, '\n')); p++) rows++;
    free(text);
    return text ? rows - 1 : 0;
}

static int temporaries(const char *dir)
{
    int n = 0;
    DIR *d = opendir(dir);
    assert_non_null(d);
    for (const struct dirent *e; (e = readdir(d));)
        n += e->d_name[0] == '.' && strcmp(e->d_name, ".") && strcmp(e->d_name, "..");
    closedir(d);
    return n;
}

static void settle(const char *dir)
{
    int lock = rnc_folder_lock(dir, &s);
    assert_true(lock >= 0 && rnc_folder_settle(dir, &s));
    rnc_folder_unlock(lock);
}

/* Checkpoint, best weights and log are of one state. False: there is no checkpoint yet. */
static bool consistent(const char *dir)
{
    settle(dir);
    assert_int_equal(temporaries(dir), 0);
    if (!file_exists(in(dir, RNC_RUN_LAST))) return false;
    int64_t epoch = number_of(in(dir, RNC_RUN_LAST), "rnc.epoch"),
            best = number_of(in(dir, RNC_RUN_LAST), "rnc.best_epoch");
    assert_int_equal(rows_of(in(dir, RNC_RUN_LOG)), epoch);
    assert_int_equal(rows_of(in(dir, RNC_RUN_STEPS)), number_of(in(dir, RNC_RUN_LAST), "rnc.step"));
    assert_false(file_exists(in(dir, RNC_RUN_NEXT)));
    assert_int_equal(number_of(in(dir, RNC_RUN_BEST), "rnc.epoch"), best);
    return true;
}

static void same_file(const char *a, const char *b)
{
    size_t x, y;
    char *p = read_file(a, &x), *q = read_file(b, &y);
    assert_true(p && q && x == y);
    assert_memory_equal(p, q, x);
    free(p);
    free(q);
}

static void same_run(const char *a, const char *b)
{
    static const char *const compared[] = {RNC_RUN_LAST, RNC_RUN_BEST, RNC_RUN_STEPS};
    for (int k = 0; k < 3; k++) same_file(in(a, compared[k]), in(b, compared[k]));
    assert_int_equal(rows_of(in(a, RNC_RUN_LOG)), rows_of(in(b, RNC_RUN_LOG)));
}

static void goes_on_after_any_kill(void **state)
{
    (void)state;
    char whole[200], dir[256];
    snprintf(whole, sizeof whole, "%s", in_scratch("whole"));
    struct rnc_train_config c = config(whole);
    run(&c);
    int at = 1, resumed = 0;
    for (;; at++) {
        snprintf(dir, sizeof dir, "%s-%d", in_scratch("kill"), at);
        c = config(dir);
        if (!killed(&c, at)) break;
        c.resume = consistent(dir);
        c.overwrite = !c.resume;
        resumed += c.resume;
        run(&c);
        same_run(whole, dir);
    }
    assert_true(at > 50 && resumed > 25);
}

/* The files of the run before are there under one of their two names, whenever overwriting is killed. */
static void overwriting_loses_nothing(void **state)
{
    (void)state;
    static const char *const kept[] = {RNC_RUN_LAST, RNC_RUN_BEST, RNC_RUN_STEPS, RNC_RUN_LOG};
    char whole[200], dir[256], old[64];
    snprintf(whole, sizeof whole, "%s", in_scratch("whole"));
    for (int at = 1; at < 25; at++) {
        snprintf(dir, sizeof dir, "%s-%d", in_scratch("over"), at);
        struct rnc_train_config c = config(dir);
        run(&c);
        c.seed = 4;
        c.overwrite = true;
        assert_true(killed(&c, at));
        for (int k = 0; k < 3; k++) {
            snprintf(old, sizeof old, "%s" RNC_RUN_OLD, kept[k]);
            same_file(in(whole, kept[k]), in(dir, file_exists(in(dir, old)) ? old : kept[k]));
        }
        struct rnc_train_config again = config(dir);
        struct rnc_train_result r;
        again.seed = 4;
        if (rnc_folder_taken(dir)) {
            expect_failure(&s, rnc_train(&again, &r, NULL, &s), RNC_USER, "holds a run already");
            again.overwrite = true;
        }
        run(&again);
    }
}

/* A log that is lost stays lost, and costs no row after it. */
static void a_lost_log_costs_nothing_else(void **state)
{
    (void)state;
    struct rnc_train_result r;
    char dir[200];
    snprintf(dir, sizeof dir, "%s", in_scratch("lost"));
    struct rnc_train_config c = config(dir);
    assert_true(killed(&c, 42) && consistent(dir));
    int64_t done = number_of(in(dir, RNC_RUN_LAST), "rnc.epoch");
    assert_true(done > 0 && done < EPOCHS);
    unlink(in(dir, RNC_RUN_LOG));
    c.resume = true;
    for (int again = 0; again < 3; again++) {
        run_for(&c, &r);
        assert_int_equal(r.log_missing, done);
        assert_int_equal(rows_of(in(dir, RNC_RUN_LOG)), EPOCHS - done);
    }
}

static void one_process_at_a_time(void **state)
{
    (void)state;
    struct rnc_train_result r;
    char dir[200];
    snprintf(dir, sizeof dir, "%s", in_scratch("whole"));
    struct rnc_train_config c = config(dir);
    c.resume = true;
    int lock = rnc_folder_lock(dir, &s);
    assert_true(lock >= 0 && rnc_folder_busy(dir));
    expect_failure(&s, rnc_train(&c, &r, NULL, &s), RNC_USER, "another rnc is training in");
    rnc_folder_unlock(lock);
    assert_false(rnc_folder_busy(dir));
    run(&c);
}

/* The run is whole, and says so. */
static void a_picture_costs_no_weights(void **state)
{
    (void)state;
    struct rnc_train_result r;
    char dir[200];
    snprintf(dir, sizeof dir, "%s", in_scratch("picture"));
    struct rnc_train_config c = config(dir);
    no_pictures = true;
    run_for(&c, &r);
    no_pictures = false;
    assert_true(r.pictures.code == RNC_ENV && !strcmp(r.pictures.message, "no ink"));
    same_run(in_scratch("whole"), dir);
}

static int begin(void **state)
{
    (void)state;
    make_data();
    return scratch_make() ? 0 : 1;
}

static int end(void **state)
{
    (void)state;
    scratch_remove();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(goes_on_after_any_kill),        cmocka_unit_test(overwriting_loses_nothing),
        cmocka_unit_test(a_lost_log_costs_nothing_else), cmocka_unit_test(one_process_at_a_time),
        cmocka_unit_test(a_picture_costs_no_weights),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
