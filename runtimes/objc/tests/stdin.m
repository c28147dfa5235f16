#import <Foundation/Foundation.h>

int main(void) {
    @autoreleasepool {
        NSData *data = [[NSFileHandle fileHandleWithStandardInput] readDataToEndOfFile];
        printf("%lu bytes\n", (unsigned long)[data length]);
    }
    return 0;
}
