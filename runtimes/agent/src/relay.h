/* What cleaning needs to know of connections. */
#ifndef RELAY_H
#define RELAY_H

#include "agent.h"

/* Ends every relayed connection and UDP socket; listeners stay. */
void relays_close(struct agent *agent);

unsigned listeners_count(const struct agent *agent);

#endif
