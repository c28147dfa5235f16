#include "address.h"

#include <arpa/inet.h>

socklen_t address_of_port(const struct request *request, union address *address)
{
    char text[INET6_ADDRSTRLEN] = "127.0.0.1";
    *address = (union address){0};
    if (request->port > UINT16_MAX ||
        (request_has(request, TAG_ADDRESS) && !slice_text(request->address, text, sizeof text)))
        return 0;
    uint16_t port = htons((uint16_t)request->port);
    if (inet_pton(AF_INET, text, &address->v4.sin_addr) == 1) {
        address->v4.sin_family = AF_INET;
        address->v4.sin_port = port;
        return sizeof address->v4;
    }
    if (inet_pton(AF_INET6, text, &address->v6.sin6_addr) == 1) {
        address->v6.sin6_family = AF_INET6;
        address->v6.sin6_port = port;
        return sizeof address->v6;
    }
    return 0;
}

socklen_t address_parse(const struct request *request, union address *address)
{
    if (!request_has(request, TAG_PATH))
        return address_of_port(request, address);
    *address = (union address){.local = {.sun_family = AF_UNIX}};
    if (request->path.length == 0 ||
        !slice_text(request->path, address->local.sun_path, sizeof address->local.sun_path))
        return 0;
    return sizeof address->local;
}

uint16_t address_port(const union address *address)
{
    return ntohs(address->any.sa_family == AF_INET6 ? address->v6.sin6_port
                                                    : address->v4.sin_port);
}
