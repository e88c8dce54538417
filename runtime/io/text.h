/* text.h: names as the file system has them, bytes, as text. */
#ifndef RNC_RUNTIME_IO_TEXT_H
#define RNC_RUNTIME_IO_TEXT_H

#include <stddef.h>

/* NAME as UTF-8, malloc'ed: a byte that belongs to no sound character becomes \xNN. NULL: no memory. */
char *rnc_text_of_name(const char *name);

#endif
