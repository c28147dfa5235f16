#include <stdio.h>
#include <stdlib.h>

int main(void) {
    const char *greeting = getenv("GREETING");
    puts(greeting ? greeting : "unset");
    return 0;
}
