int puts(const char *);

static int time = 0;

int main(void) {
    return puts("names of the library, declared here") < time;
}
