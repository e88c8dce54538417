/* test_fuzz.c: every file of tests/fuzz/corpus/TARGET (and the golden tests' specs and IR), then mutations of them, a
   fixed number from a fixed seed.

       build/tests/fuzz/test_fuzz                    all targets, as in make test
       build/tests/fuzz/test_fuzz TARGET [ROUNDS [SEED]]   one, for longer or from another seed
       build/tests/fuzz/test_fuzz TARGET FILE        one input: to see a finding again

   Each target runs in a process of its own, which keeps its current input in BUILD/tests/fuzz/TARGET.last: after a
   crash that is the finding. A finding that has been fixed goes into the corpus. */
#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "targets.h"

enum { MAX_FILES = 1024, INPUT_LIMIT = 1 << 16, HANG_SECONDS = 20 };

struct input {
    uint8_t *data;
    size_t size;
    char *name;
};
struct corpus {
    struct input item[MAX_FILES];
    int count;
};
struct random {
    uint64_t state;
};

static uint64_t random_u64(struct random *r) /* splitmix64 */
{
    uint64_t x = r->state += UINT64_C(0x9E3779B97F4A7C15);
    x = (x ^ (x >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94D049BB133111EB);
    return x ^ (x >> 31);
}

static size_t below(struct random *r, size_t n) { return n ? (size_t)(random_u64(r) % n) : 0; }

/* ---- the corpus */

static struct input read_input(const char *path)
{
    struct input in = {malloc(INPUT_LIMIT), 0, strdup(path)};
    FILE *f = fopen(path, "rb");
    if (!f || !in.data || !in.name) {
        fprintf(stderr, "%s: cannot be read\n", path);
        exit(1);
    }
    in.size = fread(in.data, 1, INPUT_LIMIT, f);
    fclose(f);
    return in;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct input *)a)->name, ((const struct input *)b)->name);
}

static bool ends_with(const char *s, size_t length, const char *ending)
{
    const size_t n = strlen(ending);
    return length >= n && !memcmp(s + length - n, ending, n);
}

/* The input files of a golden test (tests/README.md) whose names end with ENDING: what follows "-- NAME --" lines. */
static void add_sections(const struct input *test, const char *ending, struct corpus *c)
{
    const char *const end = (const char *)test->data + test->size;
    struct input *open = NULL;
    for (const char *line = (const char *)test->data, *next; line < end; line = next) {
        const char *stop = memchr(line, '\n', (size_t)(end - line));
        next = stop ? stop + 1 : end;
        const size_t length = (size_t)((stop ? stop : end) - line);
        if (length > 6 && !memcmp(line, "-- ", 3) && ends_with(line, length, " --")) {
            open = NULL;
            if (!ends_with(line, length - 3, ending) || c->count == MAX_FILES) continue;
            open = &c->item[c->count++];
            *open = (struct input){malloc(INPUT_LIMIT), 0, strdup(test->name)};
            if (!open->data || !open->name) exit(1);
        } else if (open) {
            memcpy(open->data + open->size, line, (size_t)(next - line));
            open->size += (size_t)(next - line);
        }
    }
}

/* ENDING NULL: the files of FOLDER; else the sections with that ending of its golden tests. */
static void read_folder(const char *folder, const char *ending, struct corpus *c)
{
    DIR *d = opendir(folder);
    for (struct dirent *e; d && (e = readdir(d)) && c->count < MAX_FILES;) {
        if (e->d_name[0] == '.') continue;
        if (ending && !ends_with(e->d_name, strlen(e->d_name), ".test")) continue;
        char path[600];
        snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
        struct input in = read_input(path);
        if (!ending) c->item[c->count++] = in;
        else {
            add_sections(&in, ending, c);
            free(in.data);
            free(in.name);
        }
    }
    if (d) closedir(d);
}

/* In the order of their names: the same on every machine. */
static void read_corpus(const struct fuzz_target *t, struct corpus *c)
{
    char folder[200];
    snprintf(folder, sizeof folder, "tests/fuzz/corpus/%s", t->name);
    read_folder(folder, NULL, c);
    if (t->also) read_folder(t->also, t->ending, c);
    qsort(c->item, (size_t)c->count, sizeof c->item[0], by_name);
}

static void free_corpus(struct corpus *c)
{
    for (int i = 0; i < c->count; i++) {
        free(c->item[i].data);
        free(c->item[i].name);
    }
}

/* ---- mutations */

static void insert(uint8_t *data, size_t *size, size_t at, const void *what, size_t n)
{
    if (*size + n > INPUT_LIMIT) return;
    memmove(data + at + n, data + at, *size - at);
    memcpy(data + at, what, n);
    *size += n;
}

static void erase(uint8_t *data, size_t *size, size_t at, size_t n)
{
    memmove(data + at, data + at + n, *size - at - n);
    *size -= n;
}

static void insert_from(struct random *r, const struct input *from, uint8_t *data, size_t *size)
{
    const size_t begin = below(r, from->size), n = below(r, from->size - begin < 400 ? from->size - begin : 400);
    uint8_t bytes[400];
    memcpy(bytes, from->data + begin, n);
    insert(data, size, below(r, *size + 1), bytes, n);
}

static void mutate_once(struct random *r, const struct corpus *c, const struct fuzz_target *t, uint8_t *data,
                        size_t *size)
{
    static const uint8_t bytes[] = {0, 1, 0x7f, 0x80, 0xff, ' ', '\n', '0', '9', '-', '{', '[', '"', ':'};
    static const uint8_t words[][4] = {
        {0, 0, 0, 0}, {0xff, 0xff, 0xff, 0xff}, {0x7f, 0xff, 0xff, 0xff}, {0, 0, 0, 0x80}, {0, 1, 0, 0}};
    const size_t at = below(r, *size);
    size_t ntokens = 0;
    while (t->tokens[ntokens]) ntokens++;
    const char *token = t->tokens[below(r, ntokens)];
    switch (below(r, 9)) {
    case 0:
        if (*size) data[at] ^= (uint8_t)(1u << below(r, 8));
        break;
    case 1:
        if (*size) data[at] = bytes[below(r, sizeof bytes)];
        break;
    case 2:
        if (*size) data[at] = (uint8_t)random_u64(r);
        break;
    case 3:
        if (*size > at + 4) memcpy(data + at, words[below(r, 5)], 4);
        break;
    case 4:
        if (*size) erase(data, size, at, 1 + below(r, *size - at < 64 ? *size - at : 64));
        break;
    case 5: insert(data, size, below(r, *size + 1), token, strlen(token)); break;
    case 6: insert_from(r, &(struct input){data, *size, NULL}, data, size); break; /* a stretch of it again */
    case 7: insert_from(r, &c->item[below(r, (size_t)c->count)], data, size); break;
    case 8:
        if (below(r, 4) == 0) *size = at;
        break;
    }
}

static size_t mutate(struct random *r, const struct corpus *c, const struct fuzz_target *t, uint8_t *data)
{
    const struct input *from = &c->item[below(r, (size_t)c->count)];
    size_t size = from->size;
    memcpy(data, from->data, size);
    for (size_t n = 1 + below(r, 6); n > 0; n--) mutate_once(r, c, t, data, &size);
    return size;
}

/* ---- running */

/* The current input, in a file that outlives a crash: its size, then the bytes. */
struct record {
    uint8_t *map;
    char path[600];
};

static struct record record_open(const char *target)
{
    struct record r;
    const char *build = getenv("BUILD") ? getenv("BUILD") : "build";
    snprintf(r.path, sizeof r.path, "%s/tests/fuzz/%s.last", build, target);
    const int fd = open(r.path, O_RDWR | O_CREAT | O_TRUNC, 0644);
    if (fd < 0 || ftruncate(fd, INPUT_LIMIT + 8) != 0) {
        perror(r.path);
        exit(1);
    }
    r.map = mmap(NULL, INPUT_LIMIT + 8, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (r.map == MAP_FAILED) exit(1);
    return r;
}

static void run_input(const struct fuzz_target *t, const struct record *r, const uint8_t *data, size_t size)
{
    memcpy(r->map, &size, sizeof size);
    memcpy(r->map + 8, data, size);
    uint8_t *exact = malloc(size ? size : 1); /* so that one byte too far is seen */
    if (!exact) exit(1);
    memcpy(exact, data, size);
    alarm(HANG_SECONDS);
    t->run(exact, size);
    alarm(0);
    free(exact);
}

static void run_target(const struct fuzz_target *t, const struct record *r, int rounds, uint64_t seed)
{
    static struct corpus c;
    c.count = 0;
    read_corpus(t, &c);
    if (!c.count) {
        printf("  no corpus\n");
        exit(1);
    }
    for (int i = 0; i < c.count; i++) run_input(t, r, c.item[i].data, c.item[i].size);
    struct random random = {seed};
    static uint8_t data[INPUT_LIMIT];
    for (int i = 0; i < rounds; i++) run_input(t, r, data, mutate(&random, &c, t, data));
    printf("%s: %d files, %d mutations\n", t->name, c.count, rounds);
    free_corpus(&c);
}

/* The recorded input as a file, for reporting. */
static void keep_finding(const struct fuzz_target *t, const struct record *r, const char *program)
{
    char path[700];
    size_t size;
    snprintf(path, sizeof path, "%.*s.crash", (int)(strlen(r->path) - 5), r->path);
    memcpy(&size, r->map, sizeof size);
    FILE *f = fopen(path, "wb");
    if (f) {
        fwrite(r->map + 8, 1, size, f);
        fclose(f);
    }
    printf("%s: FAILED; again: %s %s %s\n", t->name, program, t->name, path);
}

static bool run_isolated(const struct fuzz_target *t, int rounds, uint64_t seed, const char *program)
{
    const struct record r = record_open(t->name);
    fflush(stdout);
    const pid_t child = fork();
    if (child == 0) {
        run_target(t, &r, rounds, seed);
        fflush(stdout);
        exit(0);
    }
    int status = 1;
    if (child > 0) waitpid(child, &status, 0);
    const bool ok = status == 0;
    if (!ok) keep_finding(t, &r, program);
    if (WIFSIGNALED(status))
        printf("  %s\n", WTERMSIG(status) == SIGALRM ? "it took too long" : strsignal(WTERMSIG(status)));
    munmap(r.map, INPUT_LIMIT + 8);
    if (ok) remove(r.path);
    return ok;
}

static int run_one(const struct fuzz_target *t, int argc, char **argv)
{
    char *end = NULL;
    const long rounds = argc > 2 ? strtol(argv[2], &end, 10) : t->iterations;
    if (argc <= 2 || !*end) return !run_isolated(t, (int)rounds, argc > 3 ? strtoull(argv[3], NULL, 10) : 1, argv[0]);
    struct input in = read_input(argv[2]);
    t->run(in.data, in.size);
    free(in.data);
    free(in.name);
    return 0;
}

int main(int argc, char **argv)
{
    int passed = 0, failed = 0;
    for (int i = 0; i < fuzz_ntargets; i++) {
        if (argc > 1 && strcmp(argv[1], fuzz_targets[i].name) == 0) return run_one(&fuzz_targets[i], argc, argv);
        if (argc > 1) continue;
        if (run_isolated(&fuzz_targets[i], fuzz_targets[i].iterations, 1, argv[0])) passed++;
        else failed++;
    }
    if (argc > 1) {
        fprintf(stderr, "no target %s\n", argv[1]);
        return 2;
    }
    printf("%d passed, %d failed\n", passed, failed);
    return failed != 0;
}
