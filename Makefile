# rnc: `make demo`, `make test`, `make`; MODE=release|debug|asan|ubsan|tsan builds into a folder of its own.
MODE ?= release
CC ?= gcc
LLVM_CONFIG ?= llvm-config-19
BUILD ?= $(if $(filter release,$(MODE)),build,build-$(MODE))

WARN := -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes
OPT_release := -O2 -g
OPT_debug := -O0 -g3 -DRNC_DEBUG
OPT_asan := -O1 -g -fsanitize=address,undefined -fno-omit-frame-pointer -DRNC_DEBUG
OPT_ubsan := -O1 -g -fsanitize=undefined -DRNC_DEBUG
OPT_tsan := -O1 -g -fsanitize=thread -DRNC_DEBUG
CFLAGS := -std=c17 -D_GNU_SOURCE -pthread $(WARN) $(OPT_$(MODE)) -Icompiler -I. -I$(BUILD)/gen
LLVM_CFLAGS = -isystem $(shell $(LLVM_CONFIG) --includedir)
PKGS := cairo jansson libpng libjpeg zlib yaml-0.1
PKG_CFLAGS := $(shell pkg-config --cflags $(PKGS) 2>/dev/null)
LIBS = $(shell $(LLVM_CONFIG) --ldflags --libs) $(shell pkg-config --libs $(PKGS)) -ldl -lm -pthread

COMPILER_SRC := $(wildcard compiler/base/*.c compiler/spec/*.c compiler/ir/*.c compiler/op/*.c compiler/build/*.c compiler/pass/*.c compiler/gen/*.c)
CLI_SRC := $(wildcard compiler/cli/*.c)
RUNTIME_SRC := $(wildcard runtime/*.c)
COMPILER_OBJ := $(COMPILER_SRC:%.c=$(BUILD)/%.o)
CLI_OBJ := $(CLI_SRC:%.c=$(BUILD)/%.o)
RUNTIME_OBJ := $(RUNTIME_SRC:%.c=$(BUILD)/%.o)

.PHONY: all
all: $(BUILD)/rnc

$(BUILD)/rnc: $(CLI_OBJ) $(BUILD)/librnc.a $(BUILD)/librnc_runtime.a
	$(CC) $(CFLAGS) -o $@ $^ $(LIBS)

$(BUILD)/librnc.a: $(COMPILER_OBJ)
	rm -f $@; ar rcs $@ $^
$(BUILD)/librnc_runtime.a: $(RUNTIME_OBJ)
	rm -f $@; ar rcs $@ $^

$(BUILD)/%.o: %.c
	@mkdir -p $(dir $@)
	$(CC) $(CFLAGS) $(LLVM_CFLAGS) $(PKG_CFLAGS) -MMD -MP -c -o $@ $<

-include $(COMPILER_OBJ:.o=.d) $(CLI_OBJ:.o=.d) $(RUNTIME_OBJ:.o=.d)
