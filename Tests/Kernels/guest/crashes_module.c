// Crashes that need a module of their own: `insmod crashes.ko kind=deadlock`, or `kind=freed`.

#include <linux/delay.h>
#include <linux/err.h>
#include <linux/kthread.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/timer.h>

static char *kind = "";
module_param(kind, charp, 0);

static DEFINE_MUTEX(first_lock);
static DEFINE_MUTEX(second_lock);
static struct mutex *const locks[2] = {&first_lock, &second_lock};

// Takes one lock, gives the other task time to take the other one, and wants that.
static int takes_both(void *which) {
  int mine = which != NULL;
  mutex_lock(locks[mine]);
  msleep(500);
  mutex_lock(locks[!mine]);
  return 0;
}

struct watched {
  struct timer_list timer;
  char text[200];
};

static void never_called(struct timer_list *timer) {}

// What is freed has a timer that runs. Somebody else gets the memory and writes to it before the timer's time is up.
static void free_with_a_timer(void) {
  struct watched *freed = kzalloc(sizeof(*freed), GFP_KERNEL);
  char *others[64];
  int index;
  timer_setup(&freed->timer, never_called, 0);
  mod_timer(&freed->timer, jiffies + HZ);
  kfree(freed);
  for (index = 0; index < 64; index++) {
    others[index] = kmalloc(sizeof(*freed), GFP_KERNEL);
    // The list of the wheel stays whole: only what is called is another place.
    memset(others[index] + offsetof(struct timer_list, function), 0x5a, sizeof(void *));
  }
}

static int __init crashes_init(void) {
  if (strcmp(kind, "deadlock") == 0) {
    kthread_run(takes_both, NULL, "deadlock-first");
    kthread_run(takes_both, (void *)1, "deadlock-second");
  } else if (strcmp(kind, "freed") == 0) {
    free_with_a_timer();
  } else {
    return -EINVAL;
  }
  return 0;
}

module_init(crashes_init);
MODULE_LICENSE("Apache-2.0");
