/* Addresses in requests: ports of the sandbox, and Unix sockets. */
#ifndef ADDRESS_H
#define ADDRESS_H

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "request.h"

union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    struct sockaddr_un local;
};

/* PORT of ADDRESS, 127.0.0.1 unless told. The size of the address, 0 when it is none. */
socklen_t address_of_port(const struct request *request, union address *address);

/* The same, or that of the Unix socket PATH. */
socklen_t address_parse(const struct request *request, union address *address);

uint16_t address_port(const union address *address);

#endif
