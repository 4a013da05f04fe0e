// Takes CPU 1 for itself, at a priority that no worker of the kernel has: what waits for that CPU stands still.
#define _GNU_SOURCE
#include <sched.h>
#include <stdio.h>
#include <unistd.h>

int main(void) {
    cpu_set_t cpus;
    struct sched_param param = {.sched_priority = 99};

    CPU_ZERO(&cpus);
    CPU_SET(1, &cpus);
    if (sched_setaffinity(0, sizeof(cpus), &cpus) || sched_setscheduler(0, SCHED_FIFO, &param)) {
        perror("cpu-hog");
        return 1;
    }
    for (;;)
        __asm__ volatile("pause");
}
