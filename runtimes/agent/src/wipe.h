#ifndef WIPE_H
#define WIPE_H

/* Empties a directory without leaving its file system or following links, however deep it is.
 * It gives up after a few seconds or when nothing more can be removed: count what is left. */
void wipe(const char *path);

/* Entries in a directory; 0 when there is none, 1 when it cannot be read. */
unsigned count_entries(const char *path);

#endif
