#import <Foundation/Foundation.h>

int main(void) {
    @autoreleasepool {
        NSDictionary *environment = [[NSProcessInfo processInfo] environment];
        puts([[environment objectForKey:@"GREETING"] UTF8String]);
    }
    return 0;
}
