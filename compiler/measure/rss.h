/* rss.h: this process's resident memory as the system reports it, in bytes; 0 if it is not available. */
#ifndef RNC_MEASURE_RSS_H
#define RNC_MEASURE_RSS_H

#include <stdbool.h>
#include <stddef.h>

size_t rss_now(void);
size_t rss_peak(void);     /* since the process began, or since the last rss_peak_reset */
bool rss_peak_reset(void); /* false: the system refuses, rss_peak counts from the beginning */

#endif
