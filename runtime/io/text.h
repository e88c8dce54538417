/* text.h: file names, which are bytes, as text. */
#ifndef RNC_RUNTIME_IO_TEXT_H
#define RNC_RUNTIME_IO_TEXT_H

#include <stddef.h>

/* NAME as UTF-8, malloc'ed; a byte outside a valid sequence becomes \xNN. NULL: no memory. */
char *rnc_text_of_name(const char *name);

#endif
