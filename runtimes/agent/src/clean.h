/* CLEAN: a sandbox made as it was before its last run, and what could not be. */
#ifndef CLEAN_H
#define CLEAN_H

#include "agent.h"

/* Kills, wipes the request's mounts and the IPC objects, and answers with REPORT. */
void clean(struct agent *agent, uint32_t id, const struct request *request);

#endif
