# rnc
#   make            build/rnc and the libraries beside it
#   make demo       installs what is missing, then trains a ResNet-20 on Fashion-MNIST
#   make test       installs what is missing, builds, and runs every test
#   make test-quick the same for the suites that take seconds (the list: tests/run.sh)
#   make bless      rewrites the golden files and what the pages show (review the diff)
#   make bench-peers  the same models through rnc, PyTorch, ONNX Runtime, OpenVINO, TensorFlow (tests/bench/README.md)
#   make format     clang-format over the C sources (version 14)
#   make lint       what CI checks before it tests: format, clang-tidy, shellcheck, lines, words
#   make install PREFIX=/usr/local
# MODE=release|debug|asan|ubsan|tsan: each builds into a folder of its own.
MODE ?= release
CC := $(if $(filter default,$(origin CC)),gcc,$(CC))
LLVM_CONFIG ?= llvm-config-19
BUILD ?= $(if $(filter release,$(MODE)),build,build-$(MODE))
PREFIX ?= /usr/local
JOBS ?= $(shell nproc 2>/dev/null || echo 2)

WARN := -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes
OPT_release := -O2 -g
OPT_debug := -O0 -g3 -DRNC_DEBUG
OPT_asan := -O1 -g -fsanitize=address,undefined -fno-omit-frame-pointer -DRNC_DEBUG
OPT_ubsan := -O1 -g -fsanitize=undefined -fno-sanitize-recover=undefined -DRNC_DEBUG
OPT_tsan := -O1 -g -fsanitize=thread -DRNC_DEBUG
ifeq ($(OPT_$(MODE)),)
$(error MODE=$(MODE): it is one of release, debug, asan, ubsan, tsan)
endif
CFLAGS := -std=c17 -D_GNU_SOURCE -pthread $(WARN) $(OPT_$(MODE)) -Icompiler -I. -I$(BUILD)/gen
PKGS := cairo jansson libpng libjpeg zlib yaml-0.1
# Asked when a recipe runs, not when this file is read: before `make deps` neither tool may be there. Once each.
once = $(eval $1 := $$(shell $2))$($1)
LLVM_CFLAGS = $(call once,LLVM_CFLAGS,echo -isystem `$(LLVM_CONFIG) --includedir`)
PKG_CFLAGS = $(call once,PKG_CFLAGS,pkg-config --cflags $(PKGS))
LIBS = $(call once,LIBS,echo `$(LLVM_CONFIG) --ldflags --libs` `pkg-config --libs $(PKGS)` -ldl -lm -pthread)

COMPILER_SRC := $(filter-out compiler/cli/%,$(sort $(shell find compiler -name '*.c')))
CLI_SRC := $(wildcard compiler/cli/*.c)
RUNTIME_SRC := $(sort $(shell find runtime -name '*.c'))
# What a model compiled ahead of time links: no LLVM, no image or data library, nothing but libc, libm and threads.
RT_SRC := $(wildcard runtime/rt/*.c)
RT_HEADERS := abi.h exec.h pack.h pool.h preprocess.h status.h
COMPILER_OBJ := $(COMPILER_SRC:%.c=$(BUILD)/%.o)
CLI_OBJ := $(CLI_SRC:%.c=$(BUILD)/%.o)
RUNTIME_OBJ := $(RUNTIME_SRC:%.c=$(BUILD)/%.o)
RT_OBJ := $(RT_SRC:%.c=$(BUILD)/%.o)
SPECS := $(sort $(wildcard specs/*.yaml))

# Short lines; `make V=1` shows the commands.
Q := $(if $(V),,@)
say = $(if $(V),,@printf '  %-4s %s\n' $1 $(2:$(CURDIR)/%=%))

.DELETE_ON_ERROR:
.PHONY: all
all: $(BUILD)/rnc $(BUILD)/librnc_rt.a $(RT_HEADERS:%=$(BUILD)/include/rnc/%)

$(BUILD)/rnc: $(CLI_OBJ) $(BUILD)/librnc.a $(BUILD)/librnc_runtime.a
	$(call say,LINK,$@)
	$(Q)$(CC) $(CFLAGS) -Wl,--build-id=sha1 -o $@ $^ $(LIBS)

$(BUILD)/librnc.a: $(COMPILER_OBJ)
$(BUILD)/librnc_runtime.a: $(RUNTIME_OBJ)
$(BUILD)/librnc_rt.a: $(RT_OBJ)
$(BUILD)/lib%.a:
	$(call say,AR,$@)
	@rm -f $@
	$(Q)$(CROSS)ar rcs $@ $^

# The runtime alone, for objects compiled ahead of time: make rt CC=aarch64-linux-gnu-gcc BUILD=build-aarch64. Needs
# nothing but the compiler.
.PHONY: rt
CROSS := $(patsubst %gcc,%,$(filter %-linux-gnu-gcc,$(firstword $(CC))))
rt: $(BUILD)/librnc_rt.a $(RT_HEADERS:%=$(BUILD)/include/rnc/%)

.PHONY: tools
tools:
	@for t in $(firstword $(CC)) pkg-config $(LLVM_CONFIG); do \
		command -v $$t >/dev/null || \
			{ echo "rnc: $$t is not here: \`make deps\` installs what is missing" >&2; exit 2; }; done

$(BUILD)/%.o: %.c | tools
	@mkdir -p $(dir $@)
	$(call say,CC,$<)
	$(Q)$(CC) $(CFLAGS) $(LLVM_CFLAGS) $(PKG_CFLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/include/rnc/%.h: runtime/rt/%.h
	@mkdir -p $(dir $@)
	$(Q)cp $< $@

# ---- generated lists: a command, a shipped spec is added by adding its file
$(BUILD)/compiler/cli/main.o: $(BUILD)/gen/commands.def
$(BUILD)/gen/commands.def: $(CLI_SRC) Makefile
	@mkdir -p $(dir $@)
	$(Q)sed -n 's/^const struct command command_\([a-z_]*\) *=.*/COMMAND(\1)/p' $(CLI_SRC) >$@

# What a model's symbol must not be.
$(BUILD)/compiler/driver/header.o: $(BUILD)/gen/runtime_names.def
$(BUILD)/gen/runtime_names.def: $(wildcard runtime/rt/*.h) Makefile
	@mkdir -p $(dir $@)
	$(Q)sed -n 's/^[^ /*].*[ *]\(rnc_[a-z0-9_]*\)(.*/NAME(\1)/p' runtime/rt/*.h | sort -u >$@

# .incbin: the paths are relative to the root
$(BUILD)/compiler/spec/shipped.o: $(BUILD)/gen/shipped.def $(SPECS)
$(BUILD)/gen/shipped.def: $(SPECS) Makefile
	@mkdir -p $(dir $@)
	$(Q)printf '%s\n' $(SPECS) | sed -n 's|^specs/\(.*\)\.yaml$$|SHIPPED(\1, "&")|p' >$@
$(BUILD)/runtime/data/digits.o: $(wildcard tests/data/digits/*.gz)

# ---- tests: every tests/DIR/test_*.c is a program; the other files of DIR are linked into each of DIR's programs.
# What several folders need is in tests/support, a library.
TEST_MAIN := $(wildcard tests/*/test_*.c)
TEST_BIN := $(TEST_MAIN:%.c=$(BUILD)/%)
TEST_SRC := $(wildcard tests/*/*.c)
TEST_OBJ := $(TEST_SRC:%.c=$(BUILD)/%.o)
SUPPORT_SRC := $(wildcard tests/support/*.c)
# The order of linking: each library before those that it needs.
TEST_LIBS := $(BUILD)/librnc_tests.a $(BUILD)/librnc.a $(BUILD)/librnc_runtime.a
$(BUILD)/librnc_tests.a: $(SUPPORT_SRC:%.c=$(BUILD)/%.o)
.PHONY: tests
tests: $(TEST_BIN)
.SECONDARY: $(TEST_OBJ)
# (A function, because a % written in the rule below would be the rule's own.)
helpers = $(patsubst %.c,$(BUILD)/%.o,$(filter-out $(TEST_MAIN) tests/fuzz/fuzz_%,\
	$(wildcard $(patsubst $(BUILD)/%,%,$1)/*.c)))
.SECONDEXPANSION:
$(TEST_BIN): %: %.o $$(call helpers,$$(@D)) $(TEST_LIBS)
	$(call say,LINK,$@)
	$(Q)$(CC) $(CFLAGS) -o $@ $(filter %.o,$^) $(TEST_LIBS) -lcmocka $(LIBS)

# Coverage-guided fuzzing with clang's libFuzzer: make fuzz TARGET=spec SECONDS=300 (targets: tests/fuzz/targets.c).
# What it learns stays
# in build-fuzz/corpus; a finding is written as crash-…, see tests/fuzz/test_fuzz.c for what to do with it.
TARGET ?= spec
SECONDS ?= 60
.PHONY: fuzz
fuzz:
	@$(MAKE) --no-print-directory CC=clang-19 MODE=asan BUILD=build-fuzz \
		OPT_asan='-O1 -g -fsanitize=address,undefined,fuzzer-no-link -DRNC_DEBUG' \
		build-fuzz/tests/fuzz/fuzz_libfuzzer
	@mkdir -p build-fuzz/corpus/$(TARGET)
	RNC_FUZZ_TARGET=$(TARGET) build-fuzz/tests/fuzz/fuzz_libfuzzer -max_total_time=$(SECONDS) -max_len=20000 \
		-timeout=20 build-fuzz/corpus/$(TARGET) tests/fuzz/corpus/$(TARGET)
$(BUILD)/tests/fuzz/fuzz_libfuzzer: $(BUILD)/tests/fuzz/fuzz_libfuzzer.o $(BUILD)/tests/fuzz/targets.o $(TEST_LIBS)
	$(CC) $(CFLAGS) -fsanitize=fuzzer -o $@ $^ $(LIBS)

.PHONY: test test-quick bless format lint check-layers bench-peers deps demo install clean
test:
	@.ci/deps test
	@$(MAKE) --no-print-directory -j$(JOBS) all tests
	@BUILD='$(BUILD)' MODE='$(MODE)' tests/run.sh $(ONLY)

test-quick:
	@.ci/deps test
	@$(MAKE) --no-print-directory -j$(JOBS) all tests
	@BUILD='$(BUILD)' MODE='$(MODE)' tests/run.sh --quick

bless: all
	@BUILD='$(BUILD)' BLESS=1 tests/run.sh golden readme

format:
	@clang-format -i $$(git ls-files '*.[ch]')

# Format, clang-tidy, shellcheck, line lengths, words of the glossary: .ci/lint says what each is.
lint:
	@.ci/deps lint
	@$(MAKE) --no-print-directory -s $(addprefix '$(BUILD)'/gen/,commands.def runtime_names.def shipped.def)
	@BUILD='$(BUILD)' .ci/lint

check-layers:
	@tests/check-layers.sh
	@tests/check-names.sh

# ARGS: what tests/bench/peers.py --help lists. The peers' Python environment is made by the first run, outside the
# sources.
RNC_PEERS_VENV ?= $(BUILD)/peers
OUT ?= $(BUILD)/bench
bench-peers: all
	@tests/bench/setup.sh '$(RNC_PEERS_VENV)'
	@'$(RNC_PEERS_VENV)/bin/python' -B tests/bench/peers.py --rnc '$(BUILD)/rnc' --out '$(OUT)' $(ARGS)

deps:
	@.ci/deps

demo:
	@.ci/deps demo
	@$(MAKE) --no-print-directory -j$(JOBS) all
	@RNC='$(BUILD)/rnc' examples/demo.sh

install: all
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/lib $(DESTDIR)$(PREFIX)/include/rnc
	install $(BUILD)/rnc $(DESTDIR)$(PREFIX)/bin/rnc
	install -m 644 $(BUILD)/librnc_rt.a $(DESTDIR)$(PREFIX)/lib/librnc_rt.a
	install -m 644 $(RT_HEADERS:%=runtime/rt/%) $(DESTDIR)$(PREFIX)/include/rnc/

clean:
	rm -rf build build-debug build-asan build-ubsan build-tsan build-fuzz out

-include $(COMPILER_OBJ:.o=.d) $(CLI_OBJ:.o=.d) $(RUNTIME_OBJ:.o=.d) $(TEST_OBJ:.o=.d)
