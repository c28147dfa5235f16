#import <Foundation/Foundation.h>

int main(void) {
    puts("to stdout");
    fputs("to stderr\n", stderr);
    return 3;
}
