#ifndef IPC_H
#define IPC_H

/* Removes the System V objects and POSIX message queues of this IPC namespace. */
void ipc_remove(void);

/* How many of them there are. */
unsigned ipc_count(void);

#endif
