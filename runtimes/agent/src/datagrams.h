/* What cleaning needs to know of UDP sockets. */
#ifndef DATAGRAMS_H
#define DATAGRAMS_H

#include "agent.h"

bool is_datagrams(const struct channel *channel);

#endif
