/* folder.h: the folder of a run where a command takes a spec: `rnc eval out/`. spec.yaml there is the run's spec with
   everything written out, run.json what was run and on what, best.safetensors the weights. */
#ifndef RNC_CLI_FOLDER_H
#define RNC_CLI_FOLDER_H

#include "cli/cli.h"

/* The file that SPEC names: itself or, where it is the folder of a run, that run's spec.yaml; c->run is that folder
   then, and NULL else. In the arena. */
const char *folder_spec(struct cli *c, const char *spec);

/* The weights for S, which was loaded from folder_spec's file: *WEIGHTS stays what it is or, where it is NULL, becomes
   those of c->run (best.safetensors, or last.safetensors where no epoch is over). Compares S with the spec that they
   were trained by: a parameter that differs is an error, or a warning where -p gave it. False with diagnostics. */
bool folder_weights(struct cli *c, const struct spec *s, const char **weights);

/* The error of a command that needs weights and has none; false. */
bool folder_no_weights(struct cli *c);

/* What the run in FOLDER was trained on, the PATH of its --data, in the arena; NULL: its spec says it, or there is no
   run (FOLDER may be NULL). */
const char *folder_data(struct cli *c, const char *folder);

/* What a run says of itself. The expanded text of S, which is what two runs of one spec have in common; its parameters,
   a line "size=28" for each; the text of run.json. In the arena; NULL with diagnostics. */
const char *folder_spec_text(struct cli *c, const struct spec *s);
const char *folder_params_text(struct cli *c, const struct spec *s);
const char *folder_run_text(struct cli *c, const char *data);
/* The key under which a checkpoint has the parameters; the text is under RNC_FACT_SPEC. */
extern const char folder_params_key[];

#endif
