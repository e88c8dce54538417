/* data_parts.h: internal to data*.c: the readers of each kind of data. Each fills one data set and, where it knows
   them, D's classes. */
#ifndef RNC_RUNTIME_DATA_DATA_PARTS_H
#define RNC_RUNTIME_DATA_DATA_PARTS_H

#include "runtime/data/data.h"

/* "dir/name", malloc'ed. */
char *rnc_path_join(const char *dir, const char *name);
/* Class names, copied; replaces those D has. */
bool rnc_data_set_classes(struct rnc_data *d, const char *const *names, int64_t n, struct rnc_status *s);
bool rnc_data_no_memory(const char *what, struct rnc_status *s);

/* Binary files (data_binary.c). Images are named by IMAGES; LABELS must be as many. */
bool rnc_idx_files(struct rnc_data *d, struct rnc_dataset *part, const char *images, const char *labels,
                   struct rnc_status *s);
bool rnc_idx_embedded(struct rnc_data *d, struct rnc_dataset *part, bool val, struct rnc_status *s);
/* Files of 3,073-byte records, one after another. */
bool rnc_cifar_files(struct rnc_data *d, struct rnc_dataset *part, char *const *paths, size_t npaths,
                     struct rnc_status *s);
bool rnc_is_idx(const char *path);

/* Folders of images (data_folder.c). */
bool rnc_class_folders(struct rnc_data *d, struct rnc_dataset *part, const char *path, const struct rnc_data_source *o,
                       struct rnc_status *s);
/* Is there nothing in PATH but the folders IMAGES and MASKS, and a mask for each image? */
bool rnc_are_masks(const char *path, const char *images, const char *masks);
/* Who is whom (data_classes.c). FOLDERS, which hold samples, become D's classes or are found among them. */
bool rnc_classes_from_folders(struct rnc_data *d, const char *path, const char *const *folders, int64_t n,
                              const struct rnc_data_source *o, struct rnc_status *s);
/* Of labels that are numbers: the names that O gives them. */
bool rnc_classes_from_numbers(struct rnc_data *d, const struct rnc_data_source *o, struct rnc_status *s);
/* ", none of a, b": the named classes without a sample in D's validation part; "" where there are all, or no names. */
void rnc_classes_not_validated(const struct rnc_data *d, char *out, size_t size);
/* The identity's hash (data_identity.c). */
bool rnc_data_hash(const struct rnc_data *d, uint64_t *hash, struct rnc_status *s);
bool rnc_mask_folders(struct rnc_data *d, struct rnc_dataset *part, const char *images, const char *masks,
                      struct rnc_status *s);
/* Tensors (data_tensors.c). Is PATH a folder of .npy files, or has it such folders for its parts? */
bool rnc_is_tensors(const char *path);
/* Both parts; where there is one, it is D's training part. */
bool rnc_tensor_parts(struct rnc_data *d, const char *path, const struct rnc_data_source *source, struct rnc_status *s);
/* Every NTHth sample goes to the validation part, which reads the same arrays. */
bool rnc_tensor_hold_out(struct rnc_data *d, int64_t nth, struct rnc_status *s);
void rnc_tensors_close(struct rnc_dataset *p);

/* Names in PATH, sorted, malloc'ed (free each and the list); KIND 'd': directories, 'f': files whose name ends with one
   of ENDINGS (NULL-terminated, no difference of case), hidden ones left out. */
bool rnc_list_names(const char *path, char kind, const char *const *endings, char ***names, size_t *count,
                    struct rnc_status *s);
void rnc_free_names(char **names, size_t count);

#endif
