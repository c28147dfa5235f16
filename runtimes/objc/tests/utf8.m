#import <Foundation/Foundation.h>

int main(void) {
    @autoreleasepool {
        puts([@"Grüße, 世界 🌍" UTF8String]);
    }
    return 0;
}
