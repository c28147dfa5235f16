#import <Foundation/Foundation.h>

int main(void) {
    @autoreleasepool {
        NSData *data = [NSData dataWithContentsOfFile:@"data.txt"];
        if (data == nil)
            return 1;
        fwrite([data bytes], 1, [data length], stdout);
    }
    return 0;
}
