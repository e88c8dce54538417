/* sound.h: what can be wrong with a spec beyond what driver_load finds, short of looking at data. */
#ifndef RNC_DRIVER_SOUND_H
#define RNC_DRIVER_SOUND_H

#include "driver/driver.h"

/* Shapes, losses, metrics and the training step, the number of classes, what the data that the spec names can give: of
   what comes through `rnc train` refuses nothing, whatever the data hold. Every command asks it of its spec, so that
   they all refuse the same. The graph as the spec says it, with its losses; NULL with all the errors. */
struct graph *driver_sound(struct driver *d, const struct spec *s);

#endif
