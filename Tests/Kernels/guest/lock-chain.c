// Makes tasks of which one holds a lock and another waits for it, for ever, without a module: the holder writes from
// memory that userfaultfd never fills, inside the kernel's locked section.
//
// - pipe: write() to a pipe holds its mutex while it reads the buffer
// - file: write() to a file of ext4 holds the inode's rwsem while it reads the buffer
//
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static char *never;

static void check(int good, const char *what) {
    if (!good) {
        perror(what);
        exit(1);
    }
}

struct job {
    const char *name;
    int descriptor;
    char *buffer;
};

static void *work(void *argument) {
    struct job *job = argument;
    prctl(PR_SET_NAME, job->name);
    (void)!write(job->descriptor, job->buffer, 4096);
    return NULL;
}

// Each job has long come to where it stays when the next one starts; there is nothing to be waited for.
static void start(const char *name, int descriptor, char *buffer) {
    struct job *job = malloc(sizeof *job);
    *job = (struct job){name, descriptor, buffer};
    pthread_t thread;
    check(pthread_create(&thread, NULL, work, job) == 0, "pthread_create");
    usleep(500000);
}

int main(int count, char **arguments) {
    check(count == 2, "usage: lock-chain FILE");
    long descriptor = syscall(SYS_userfaultfd, O_CLOEXEC);
    check(descriptor >= 0, "userfaultfd");
    struct uffdio_api api = {.api = UFFD_API};
    check(ioctl(descriptor, UFFDIO_API, &api) == 0, "UFFDIO_API");
    never = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    check(never != MAP_FAILED, "mmap");
    struct uffdio_register area = {.range = {(unsigned long)never, 1 << 20}, .mode = UFFDIO_REGISTER_MODE_MISSING};
    check(ioctl(descriptor, UFFDIO_REGISTER, &area) == 0, "UFFDIO_REGISTER");
    int ends[2];
    check(pipe(ends) == 0, "pipe");
    // Opened twice: two writers by one descriptor would meet at the mutex of its position already.
    int file = open(arguments[1], O_CREAT | O_RDWR, 0600), again = open(arguments[1], O_RDWR);
    check(file >= 0 && again >= 0, arguments[1]);
    static char full[4096];
    start("pipe-holder", ends[1], never);
    start("pipe-waiter", ends[1], full);
    start("file-holder", file, never + 65536);
    start("file-waiter", again, full);
    pause();
    return 0;
}
