// Starts as many threads as it is told, which sleep. Prints how many there are.
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void *sleeper(void *unused) {
    (void)unused;
    for (;;)
        pause();
}

int main(int count, char **arguments) {
    int wanted = count > 1 ? atoi(arguments[1]) : 0, made = 0;
    pthread_attr_t small;
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, 16384);
    for (pthread_t thread; made < wanted && pthread_create(&thread, &small, sleeper, NULL) == 0; made++)
        ;
    printf("TASKS: %d\n", made);
    fflush(stdout);
    pause();
    return 0;
}
