/* data_readers.h: the readers of each kind of data; private to runtime/data. Each reader fills one split and, if it
   knows them, D's classes. */
#ifndef RNC_RUNTIME_DATA_DATA_READERS_H
#define RNC_RUNTIME_DATA_DATA_READERS_H

#include "runtime/data/data.h"

/* "dir/name", malloc'ed. */
char *rnc_path_join(const char *dir, const char *name);
/* Copies the class names; replaces those D has. */
bool rnc_data_set_classes(struct rnc_data *d, const char *const *names, int64_t n, struct rnc_status *s);
bool rnc_data_no_memory(const char *what, struct rnc_status *s);

/* Binary files (data_binary.c). The split is named by IMAGES; there must be as many labels as images. */
bool rnc_idx_files(struct rnc_data *d, struct rnc_dataset *split, const char *images, const char *labels,
                   struct rnc_status *s);
bool rnc_idx_embedded(struct rnc_data *d, struct rnc_dataset *split, bool val, struct rnc_status *s);
/* Files of 3,073-byte records, one after another. */
bool rnc_cifar_files(struct rnc_data *d, struct rnc_dataset *split, char *const *paths, size_t npaths,
                     struct rnc_status *s);
bool rnc_is_idx(const char *path);

/* Folders of images (data_folder.c). */
bool rnc_class_folders(struct rnc_data *d, struct rnc_dataset *split, const char *path, const struct rnc_data_source *o,
                       struct rnc_status *s);
/* True if PATH holds only the folders IMAGES and MASKS, and every image has a mask. */
bool rnc_are_masks(const char *path, const char *images, const char *masks);
/* Classes by name (data_classes.c): FOLDERS, which hold samples, become D's classes, or are matched with them. */
bool rnc_classes_from_folders(struct rnc_data *d, const char *path, const char *const *folders, int64_t n,
                              const struct rnc_data_source *o, struct rnc_status *s);
/* For labels that are numbers: the class names that O gives. */
bool rnc_classes_from_numbers(struct rnc_data *d, const struct rnc_data_source *o, struct rnc_status *s);
/* ", none of a, b": the named classes without a sample in the validation split; "" if every class has one, or there are
   no names. */
void rnc_classes_not_validated(const struct rnc_data *d, char *out, size_t size);
/* The identity's hash (data_identity.c). */
bool rnc_data_hash(const struct rnc_data *d, uint64_t *hash, struct rnc_status *s);
bool rnc_mask_folders(struct rnc_data *d, struct rnc_dataset *split, const char *images, const char *masks,
                      struct rnc_status *s);
/* Tensors (data_tensors.c). True if PATH is a folder of .npy files, or has folders of them for its splits. */
bool rnc_is_tensors(const char *path);
/* Reads both splits; a single one becomes the training split. */
bool rnc_tensor_splits(struct rnc_data *d, const char *path, const struct rnc_data_source *source,
                       struct rnc_status *s);
/* Moves every NTH-th sample to the validation split, which reads the same arrays. */
bool rnc_tensor_hold_out(struct rnc_data *d, int64_t nth, struct rnc_status *s);
void rnc_tensors_close(struct rnc_dataset *p);

/* Names in PATH, sorted, malloc'ed (rnc_free_names). KIND 'd': directories; 'f': files whose name ends with one of
   ENDINGS (NULL-terminated, case ignored). Hidden names are skipped. */
bool rnc_list_names(const char *path, char kind, const char *const *endings, char ***names, size_t *count,
                    struct rnc_status *s);
void rnc_free_names(char **names, size_t count);

#endif
