/// Names that a report asks for: looked up all at once, in one pass through each table. Others can be asked
/// for, and cost a pass of their own.
enum WantedNames {
  static let symbols = [
    "__start_BTF", "__stop_BTF", "__start_orc_unwind", "__stop_orc_unwind", "__start_orc_unwind_ip", "__stop_orc_unwind_ip",
    "_stext", "_etext", "_sinittext", "_einittext", "_end", "init_task", "__per_cpu_offset", "runqueues", "modules",
    "slab_caches",
    "saved_command_line", "tainted_mask", "crashing_cpu", "panic_cpu", "crash_notes", "nr_cpu_ids", "__cpu_online_mask",
    "dump_stack_arch_desc_str", "avenrun", "vm_node_stat", "vm_zone_stat", "_totalram_pages", "node_data", "ret_from_fork",
    "ret_from_fork_asm", "panic", "vpanic", "__crash_kexec", "init_uts_ns", "pcpu_hot", "hwerr_data", "super_blocks",
    "bpf_kallsyms",
    "total_swapcache_pages", "nr_swap_pages", "total_swap_pages", "hstates", "hugetlb_max_hstate",
    "jiffies_64", "timer_bases", "workqueues", "init_net", "net_namespace_list",
    "__per_cpu_start", "__per_cpu_end", "btf_modules",
  ]

  static let types = [
    "task_struct", "pid", "tgid", "comm", "__state", "state", "exit_state", "flags", "on_cpu", "thread", "sp", "stack", "tasks",
    "thread_node", "signal", "thread_head", "mm", "parent", "real_parent", "thread_info", "cpu", "sched_info", "last_arrival",
    "last_queued", "blocker", "blocked_on", "thread_struct", "inactive_task_frame", "bp", "ret_addr", "signal_struct", "rq",
    "curr", "idle", "nr_running", "clock", "module", "list", "name", "mem", "base", "size", "core_layout", "init_layout",
    "module_memory", "module_layout", "arch", "kallsyms", "mod_kallsyms", "symtab", "num_symtab", "strtab", "num_orcs",
    "orc_unwind_ip", "orc_unwind", "mutex", "owner", "rw_semaphore", "count", "counter", "wait_list", "mutex_waiter",
    "mm_struct", "rss_stat", "pglist_data", "node_zones", "nr_zones", "zone", "_watermark", "vm_stat", "present_pages",
    "managed_pages", "kmem_cache", "object_size", "node", "oo", "x", "kmem_cache_node", "nr_slabs", "total_objects",
    "zone_stat_item", "node_stat_item", "NR_FREE_PAGES", "cgroups", "dfl_cgrp", "kn", "cgroup", "kernfs_node", "css_set",
    "__parent", "hstate", "nr_huge_pages", "free_huge_pages", "order", "list_head", "next",
    "super_block", "s_list", "s_id", "s_type", "s_bdev", "s_writers", "frozen", "file_system_type", "hwerr_info", "timestamp",
    "hwerr_error_type", "bpf_ksym", "lnode", "start", "end", "pi_blocked_on", "rt_mutex_waiter", "lock", "rt_mutex_base",
    "cpu_context", "fp", "pc", "pt_regs", "stackframe", "frame_record_meta",
    "s_inodes", "inode", "i_sb_list", "bdev_inode", "vfs_inode", "block_device", "bd_disk", "gendisk", "queue", "disk_name",
    "request_queue", "tag_set", "blk_mq_tag_set", "nr_hw_queues", "tags", "blk_mq_tags", "nr_tags", "rqs", "request", "q", "tag",
    "cmd_flags", "__sector", "__data_len", "start_time_ns", "deadline", "mq_rq_state", "req_op", "req_opf",
    "net", "dev_base_head", "ns", "inum", "net_device", "dev_list", "mtu", "addr_len", "dev_addr", "ip_ptr", "ip6_ptr",
    "in_device", "ifa_list", "in_ifaddr", "ifa_local", "ifa_prefixlen", "ifa_next", "inet6_dev", "addr_list", "inet6_ifaddr",
    "if_list", "addr", "prefix_len",
    "workqueue_struct", "pwqs", "pool_workqueue", "pwqs_node", "pool", "worker_pool", "worklist", "nr_workers", "nr_idle", "id",
    "last_progress_ts", "watchdog_ts", "workers", "work_struct", "entry", "func", "worker", "current_func", "task",
    "rss_stat", "pgtables_bytes", "oom_score_adj", "nsproxy", "mnt_ns", "mnt_namespace", "mounts", "rb_node", "rb_left",
    "rb_right", "rb_root", "mount", "mnt_list", "mnt_node", "mnt", "mnt_sb", "mnt_flags", "mnt_root", "mnt_devname",
    "mnt_parent", "mnt_mountpoint", "dentry", "d_name", "d_parent", "s_flags", "counters", "btf_module", "btf", "data",
    "data_size", "timer_base", "vectors", "timer_list", "expires", "function", "delayed_work", "work", "timer", "process_timer",
  ]
}
