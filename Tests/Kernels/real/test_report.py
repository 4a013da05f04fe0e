"""mcore report and the small questions, judged by crash (up to 6.12) and drgn (7.x), which have debug symbols.

Which kernels: MCORE_TEST_REPORT, a list of series. Each needs the kernel's debug symbols (280 MB), and a root of Debian sid.
"""

import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest
from random import Random

from guest import dumps
from guest.crashes import crash_dump
from guest.paths import REPOSITORY, fetch_kernel

from .elf import Core
from .series import for_each
from .test_dumps import BIN, MCORE, command, mcore

SERIES = os.environ.get("MCORE_TEST_REPORT", "6.1").split()
DAMAGES = int(os.environ.get("MCORE_TEST_REPORT_DAMAGES", "200"))
IN_SID = REPOSITORY / "scripts/in-sid.sh"
# Compilers put these behind the name of a function; tools differ in what they print of them.
SUFFIXES = re.compile(r"\.(isra|constprop|part|cold|llvm)(\.\d+)?")

DRGN_STACKS = """
from drgn.helpers.linux.pid import for_each_task
from drgn.helpers.linux.sched import idle_task
from drgn.helpers.linux.cpumask import for_each_online_cpu
tasks = [*for_each_task(prog), *(idle_task(prog, cpu) for cpu in for_each_online_cpu(prog))]
for task in tasks:
    try:
        trace = prog.stack_trace(task)
    except Exception as error:
        continue
    # Functions that were inlined are no frames of their own; registers of user space are none of the kernel's.
    names = [frame.symbol().name for frame in trace if not frame.is_inline and frame.pc >> 63]
    print(task.value_(), task.pid.value_(), task.comm.string_().decode(), *names, sep="\\t")
"""
DRGN_OFFSETS = """
from drgn import offsetof
for line in open("{}"):
    structure, member = line.split()
    print(offsetof(prog.type("struct " + structure), member))
"""
# Labels inside one function: debuggers take the function's own name.
LABELS = {"entry_SYSCALL_64_after_hwframe": "entry_SYSCALL_64", "common_startup_64": "secondary_startup_64"}
# Members that the kernels of the tests all have.
# For each CPU the timers of its wheels: how many, and the functions of those that run out first.
DRGN_TIMERS = """
from drgn import cast
from drgn.helpers.linux.cpumask import for_each_online_cpu
from drgn.helpers.linux.list import hlist_for_each_entry
from drgn.helpers.linux.percpu import per_cpu
now = prog["jiffies_64"].value_()
for cpu in for_each_online_cpu(prog):
    found = []
    for base in per_cpu(prog["timer_bases"], cpu):
        for bucket in base.vectors:
            for timer in hlist_for_each_entry("struct timer_list", bucket.address_of_(), "entry"):
                found.append((timer.expires.value_() - now, timer.value_(), prog.symbol(timer.function.value_()).name))
    found.sort()
    print(cpu, len(found), *(name for _, _, name in found[:4]))
"""
MEMBERS = [
    "task_struct pid",
    "task_struct comm",
    "task_struct tasks",
    "task_struct mm",
    "task_struct signal",
    "task_struct thread.sp",
    "task_struct sched_info.last_arrival",
    "task_struct thread_node",
    "task_struct exit_state",
    "task_struct real_parent",
    "signal_struct thread_head",
    "rq curr",
    "rq idle",
    "rq nr_running",
    "rq clock",
    "mutex owner",
    "mutex wait_lock",
    "rw_semaphore owner",
    "rw_semaphore count",
    "module list",
    "module name",
    "module kallsyms",
    "module arch.num_orcs",
    "mod_kallsyms symtab",
    "mod_kallsyms strtab",
    "mm_struct rss_stat",
    "mm_struct pgd",
    "mm_struct mmap_lock",
    "zone _watermark",
    "zone vm_stat",
    "zone name",
    "zone managed_pages",
    "pglist_data node_zones",
    "pglist_data node_id",
    "kmem_cache list",
    "kmem_cache name",
    "kmem_cache oo",
    "kmem_cache_node nr_slabs",
    "inode i_sb",
    "inode i_ino",
    "dentry d_name",
    "dentry d_inode",
    "super_block s_type",
    "file f_op",
    "net_device name",
    "sock sk_protocol",
    "sk_buff data",
    "page flags",
    "request q",
    "inactive_task_frame ret_addr",
    "bio bi_iter",
    "work_struct func",
    "timer_list function",
    "hstate order",
]


def functions(names) -> list:
    return [LABELS.get(name, name) for name in (SUFFIXES.sub("", name) for name in names)]


def offset_of(core: Core, address: int):
    """Where a plain ELF has a physical address; None where it does not."""
    for start, offset, size, _, _ in core.loads:
        if start <= address < start + size - 7:
            return offset + address - start
    return None


def run_bounded(*words) -> tuple:
    """(standard output, exit status, KiB of memory at most)"""
    with tempfile.TemporaryFile() as out:
        process = subprocess.Popen(["timeout", "30", MCORE, *map(str, words)], stdout=out)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        return out.read(), process.returncode, usage.ru_maxrss


def explained(ours: list, theirs: list) -> bool:
    """Where crash 9.0.2 is wrong: the call of vpanic is panic's last instruction, and crash takes the address behind it, which is
    no longer in panic, as it is. The kernel's own trace in the log has panic there."""
    return "vpanic" in ours and [name for name in ours if name != "panic"] == [name for name in theirs if name != "panic"]


class JudgedReport:
    """The tests for one kernel; a class for each series is made below."""

    series: str

    @classmethod
    def setUpClass(cls):
        cls.vmlinux = fetch_kernel(cls.series, debug=True) / "vmlinux"
        cls.raw = dumps.raw_dump(cls.series, kexec="classic", cpu=1)
        cls.directory = tempfile.TemporaryDirectory(prefix="mcore-report-")
        cls.addClassCleanup(cls.directory.cleanup)
        cls.work = pathlib.Path(cls.directory.name)
        cls.kern = cls.work / "kern.elf.gz"
        mcore("save", "-q", cls.raw, cls.kern)
        cls.report = json.loads(mcore("report", "--json", cls.kern).stdout)

    def in_sid(self, *words):
        tool = [IN_SID, "--timeout", 300, "--bind", self.work, "--bind", self.raw.parent]
        return command(*tool, *words, timeout=360, stdin=subprocess.DEVNULL).stdout.decode()

    def ours(self) -> dict:
        """Address of each task → its functions."""
        found = {}
        for entry in json.loads(mcore("bt", "-a", "--json", self.kern).stdout):
            names = functions(frame["function"] or "?" for frame in entry["stack"]["frames"])
            found[int(entry["task"]["address"], 16)] = (entry["task"]["pid"], names, entry["stack"])
        return found

    def theirs(self) -> dict:
        return self.crash_stacks() if not self.series.startswith("7.") else self.drgn_stacks()

    def crash_stacks(self) -> dict:
        script = self.work / "commands"
        script.write_text("set scroll off\nforeach bt\nexit\n")
        found, names = {}, []
        for line in self.in_sid("crash", "-s", "-i", script, self.vmlinux, self.raw).splitlines():
            if match := re.match(r"PID: (\d+) +TASK: ([0-9a-f]+)", line):
                names = []
                found[int(match[2], 16)] = (int(match[1]), names)
            elif match := re.match(r" *#\d+ \[[0-9a-f]+\] (\S+) at [0-9a-f]+", line):
                names.append(match[1])
            elif line.startswith("--- <NMI exception stack>"):
                # What the panic's own NMI ran: mcore begins with what was interrupted.
                names.clear()
        for _, names in found.values():
            if "__crash_kexec" in names:
                del names[: names.index("__crash_kexec")]
        return {task: (pid, functions(names)) for task, (pid, names) in found.items()}

    def test_tasks_load_and_memory_are_what_crash_says(self):
        if self.series.startswith("7."):
            self.skipTest("crash 9.0.2 does not know this kernel")
        script = self.work / "commands"
        script.write_text("set scroll off\nsys\nkmem -i\nexit\n")
        said = self.in_sid("crash", "-s", "-i", script, self.vmlinux, self.raw)
        self.assertEqual(", ".join(self.report["load"]), re.search(r"LOAD AVERAGE: (.*)", said)[1])
        self.assertEqual(self.report["tasks"]["count"], int(re.search(r"TASKS: (\d+)", said)[1]))
        self.assertEqual(self.report["memory"]["total_pages"], int(re.search(r"TOTAL MEM +(\d+)", said)[1]))
        free = sum(zone["free_pages"] for zone in self.report["memory"]["zones"])
        self.assertEqual(free, int(re.search(r"FREE +(\d+)", said)[1]))

    def drgn_stacks(self) -> dict:
        script = self.work / "stacks.py"
        script.write_text(DRGN_STACKS)
        found = {}
        for line in self.in_sid("drgn", "-q", "-c", self.raw, "-s", self.vmlinux, script).splitlines():
            task, pid, _, *names = line.split("\t")
            found[int(task)] = (int(pid), functions(names))
        return found

    def test_stacks_are_those_of_the_debuggers(self):
        ours, theirs = self.ours(), self.theirs()
        self.assertGreater(len(theirs), 60)
        different, known = [], 0
        for task, (pid, names) in theirs.items():
            mine = ours.get(task, (pid, [], None))[1]
            if mine != names and explained(mine, names):
                known += 1
            elif mine != names:
                different.append(f"PID {pid}:\n  theirs {' '.join(names)}\n  ours   {' '.join(mine)}")
        identical = len(theirs) - len(different) - known
        print(f"{self.series}: {identical} of {len(theirs)} stacks identical, {known} explained")
        self.assertLessEqual(known, 1)
        self.assertEqual(different, [])

    def test_every_frame_is_reliable_and_every_stack_whole(self):
        for pid, names, stack in self.ours().values():
            self.assertTrue(stack["whole"], (pid, names, stack["problem"]))
            self.assertTrue(all(frame["reliable"] for frame in stack["frames"]), (pid, names))

    def test_timers_are_those_that_drgn_finds(self):
        script = self.work / "timers.py"
        script.write_text(DRGN_TIMERS)
        theirs = [line.split() for line in self.in_sid("drgn", "-q", "-c", self.raw, "-s", self.vmlinux, script).splitlines()]
        self.assertGreater(sum(int(words[1]) for words in theirs), 20)
        for (cpu, count, *functions), wheel in zip(theirs, self.report["timers"], strict=True):
            self.assertEqual((wheel["cpu"], wheel["count"], wheel["overdue_ns"]), (int(cpu), int(count), None))
            for timer, function in zip(wheel["first"], functions, strict=True):
                # Of delayed work we say what will be done.
                if function != "delayed_work_timer_fn":
                    self.assertEqual(timer["function"], function)
                self.assertEqual(timer["task"] is not None, function == "process_timeout")

    def test_offsets_are_those_of_the_debug_symbols(self):
        members = self.work / "members"
        members.write_text("\n".join(MEMBERS) + "\n")
        script = self.work / "offsets.py"
        script.write_text(DRGN_OFFSETS.format(members))
        expected = [int(line) for line in self.in_sid("drgn", "-q", "-c", self.raw, "-s", self.vmlinux, script).split()]
        self.assertEqual(len(expected), len(MEMBERS))
        self.assertGreaterEqual(len(MEMBERS), 50)
        lines = mcore("types", self.kern, *(member.replace(" ", ".") for member in MEMBERS)).stdout.decode()
        self.assertEqual([int(offset) for offset in re.findall(r": offset (\d+),", lines)], expected)

    def test_damage_to_names_types_unwind_tables_and_tasks(self):
        """Hundreds of damaged dumps: a report of each comes out, soon, in bounded memory, and what is not hit is in it."""
        plain = self.work / "plain.elf"
        mcore("convert", "-q", "--format", "elf", self.kern, plain)
        core = Core(plain)
        info = core.vmcoreinfo()
        physical_base = int(info["NUMBER(phys_base)"])
        symbols = {key[7:-1]: int(value, 16) for key, value in info.items() if key.startswith("SYMBOL(")}
        names = [
            "__start_BTF",
            "__stop_BTF",
            "__start_orc_unwind",
            "__stop_orc_unwind",
            "__start_orc_unwind_ip",
            "__stop_orc_unwind_ip",
        ]
        names += ["page_offset_base", "modules", "slab_caches", "__per_cpu_offset", "init_task"]
        for line in mcore("sym", plain, *names).stdout.decode().splitlines():
            address, name = line.split()
            symbols[name] = int(address, 16)

        def image(address):
            return address - 0xFFFFFFFF80000000 + physical_base

        with open(plain, "r+b", buffering=0) as file:
            file.seek(offset_of(core, image(symbols["page_offset_base"])))
            direct = int.from_bytes(file.read(8), "little")
            areas = [
                (image(symbols[f"__start_{name}"]), image(symbols[f"__stop_{name}"]))
                for name in ("BTF", "orc_unwind", "orc_unwind_ip")
            ]
            # The head of BTF, where everything hangs together, once more.
            areas.append((areas[0][0], areas[0][0] + 64))
            areas += [
                (image(symbols[name]), image(symbols[name]) + 16) for name in ("modules", "slab_caches", "__per_cpu_offset")
            ]
            if "kallsyms_names" in symbols:
                areas += [
                    (image(symbols[f"kallsyms_{name}"]), image(symbols[f"kallsyms_{name}"]) + size)
                    for name, size in (
                        ("names", 1 << 20),
                        ("offsets", 1 << 18),
                        ("token_table", 900),
                        ("token_index", 512),
                        ("num_syms", 4),
                    )
                ]
            tasks = json.loads(mcore("ps", "--json", plain).stdout)
            for task in tasks:
                place = int(task["address"], 16)
                # The image holds init_task, the direct map all others.
                start = image(place) if place >= 0xFFFFFFFF80000000 else place - direct
                areas.append((start, start + 8192))
            random = Random(23)
            with_stack = 0
            for number in range(DAMAGES):
                undo = []
                for _ in range(random.randint(1, 8)):
                    start, end = random.choice(areas)
                    offset = offset_of(core, random.randrange(start, end) & ~7)
                    if offset is None:
                        continue
                    file.seek(offset)
                    undo.append((offset, file.read(8)))
                    file.seek(offset)
                    file.write(random.choice([bytes(8), b"\xff" * 8, random.randbytes(8), undo[-1][1][:7] + random.randbytes(1)]))
                with self.subTest(number=number):
                    output, status, peak = run_bounded("report", "--json", plain)
                    self.assertEqual(status, 0)
                    self.assertLess(peak, 64 << 10)
                    report = json.loads(output)
                    self.assertEqual(report["kernel"]["release"], self.report["kernel"]["release"])
                    self.assertEqual(report["reason"], self.report["reason"])
                    with_stack += report["panic"] is not None and len(report["panic"]["stack"]["frames"]) > 5
                for offset, old in reversed(undo):
                    file.seek(offset)
                    file.write(old)
        print(f"{self.series}: {DAMAGES} damaged dumps, {with_stack} with the stack of the panic")
        self.assertGreater(with_stack, DAMAGES * 0.7)

    def test_report_says_what_crashed(self):
        report = self.report
        self.assertEqual(report["reason"], "Kernel panic - not syncing: sysrq triggered crash")
        self.assertEqual(report["panic"]["cpu"], 1)
        self.assertEqual(report["panic"]["task"]["name"], "sh")
        names = [frame["function"] for frame in report["panic"]["stack"]["frames"]]
        self.assertIn("sysrq_handle_crash", names)
        self.assertEqual(report["signature"]["kind"], "sysrq")
        self.assertEqual(report["taint"], [])
        self.assertEqual(report["notes"], [])
        self.assertIn("QEMU", report["machine"])
        self.assertEqual(report["cgroup"], "/")
        self.assertEqual(report["file_systems"], [{"name": "vda", "type": "ext4", "frozen": False}])
        mounts = {mount["on"]: mount for mount in report["mounts"]}
        self.assertEqual(report["mount_count"], len(report["mounts"]))
        self.assertEqual(mounts["/disk"], {"on": "/disk", "device": "/dev/vda", "type": "ext4", "read_only": False})
        self.assertEqual(mounts["/proc"]["type"], "proc")
        self.assertEqual(report["memory"]["page_bytes"], 4096)
        self.assertIsInstance(report["uptime_seconds"], float)
        for process in report["memory"]["processes"]:
            self.assertGreater(process["page_table_bytes"], 4096)
            self.assertEqual((process["swap_bytes"], process["oom_score_adj"]), (0, 0))

    def test_small_questions(self):
        def answer(*words):
            return mcore(*words).stdout.decode().splitlines()

        address, name = answer("sym", self.kern, "schedule")[0].split()
        self.assertRegex(answer("sym", self.kern, address)[0], rf"^{address} {name}\+0x0/0x")
        self.assertEqual(
            answer("show", self.kern, "task_struct", "init_task", "comm"), ['char[16] task_struct.comm = "swapper/0"']
        )
        tasks = {int(line.split()[0]): line for line in answer("ps", self.kern)[1:] if int(line.split()[0])}
        self.assertTrue(tasks[2].endswith("[kthreadd]"), tasks[2])
        pid = self.report["panic"]["task"]["pid"]
        self.assertIn("R*", tasks[pid])
        self.assertEqual(answer("bt", self.kern, pid), answer("bt", self.kern))
        self.assertEqual(answer("bt", "-c", "1", self.kern), answer("bt", self.kern))
        mcore("sym", self.kern, "no_such_symbol", status=1)
        # One unknown word does not end the rest.
        said = mcore("sym", self.kern, "no_such_symbol", "schedule", status=1).stdout.decode()
        self.assertEqual(said, f"{address} {name}\n")
        # A module's names and types.
        (line,) = answer("sym", self.kern, "virtblk_probe")
        address, *rest = line.split()
        self.assertEqual(rest, ["virtblk_probe", "[virtio_blk]"])
        self.assertRegex(answer("sym", self.kern, address)[0], r"virtblk_probe\+0x0/0x\w+ \[virtio_blk\]$")
        self.assertEqual(json.loads(mcore("sym", "--json", self.kern, "virtblk_probe").stdout)[0]["module"], "virtio_blk")
        self.assertRegex(answer("types", self.kern, "virtio_blk.disk")[0], r": offset \d+, 8 bytes, struct gendisk \*$")
        # Variables, and those that each CPU has.
        self.assertEqual(answer("show", self.kern, "init_task.comm"), ['char[16] task_struct.comm = "swapper/0"'])
        running = json.loads(mcore("show", "--json", self.kern, "runqueues.nr_running").stdout)
        self.assertEqual([entry["cpu"] for entry in running], [0, 1])
        self.assertEqual([entry["value"]["value"] for entry in running], [cpu["runnable"] for cpu in self.report["running"]])
        self.assertEqual(len(answer("show", "-c", "1", self.kern, "runqueues.nr_running")), 1)
        mcore("show", self.kern, "task_struct", "0xffff000000000000", "comm", status=1)
        mcore("bt", "-a", "-c", "1", self.kern, status=2)

    def test_damaged_lists_are_read_from_their_other_end(self):
        plain = self.work / "lists.elf"
        mcore("convert", "-q", "--format", "elf", self.kern, plain)
        core = Core(plain)
        base = int(core.vmcoreinfo()["NUMBER(phys_base)"])
        lists = {"modules": "modules", "super_blocks": "file systems", "slab_caches": "slab caches", "workqueues": "workqueues"}
        addresses = [int(line.split()[0], 16) for line in mcore("sym", plain, *lists, "init_task").stdout.decode().splitlines()]
        heads = dict(zip([*lists, "init_task"], addresses, strict=True))
        inside = int(re.search(r"offset (\d+)", mcore("types", plain, "task_struct.tasks").stdout.decode())[1])
        heads["init_task"] += inside
        expected = {**lists, "init_task": "tasks"}
        for name, address in heads.items():
            with self.subTest(list=name), open(plain, "r+b", buffering=0) as file:
                place = offset_of(core, address - 0xFFFFFFFF80000000 + base)
                file.seek(place)
                old = file.read(8)
                file.seek(place)
                file.write(bytes(8))
                report = json.loads(mcore("report", "--json", plain).stdout)
                (note,) = report.pop("notes")
                self.assertRegex(note, rf"^the list of {expected[name]}.* is broken at {address:#x}: 0 entries .*, which meet$")
                self.assertEqual(report, {key: value for key, value in self.report.items() if key != "notes"})
                if name == "init_task":
                    mcore("ps", plain, status=3)
                file.seek(place)
                file.write(old)
        mcore("ps", plain)

    def test_a_cut_dump_says_so(self):
        plain = self.work / "cut.elf"
        mcore("convert", "-q", "--format", "elf", self.kern, plain)
        with open(plain, "r+b") as file:
            file.truncate(plain.stat().st_size * 3 // 4)
        report = json.loads(mcore("report", "--json", plain).stdout)
        self.assertTrue(any(note.startswith("the dump is cut: ") for note in report["notes"]), report["notes"])
        self.assertIsNone(report["signature"])
        self.assertTrue(mcore("report", plain).stdout.startswith(b"INCOMPLETE: the dump is cut: "))
        self.assertIn(b"INCOMPLETE: the dump is cut: ", mcore("report", "--html", plain).stdout)

    def test_the_same_bug_has_the_same_signature_on_all_kernels(self):
        frames = ["sysrq_handle_crash", "__handle_sysrq", "write_sysrq_trigger"]
        self.assertEqual(self.report["signature"], {"hash": "1ecc40d875023650", "kind": "sysrq", "frames": frames})


class Crashes:
    """Crashes of several kinds: what a person who reads the report alone has to learn."""

    series: str

    def report(self, kind) -> dict:
        dump = crash_dump(self.series, kind)
        report = json.loads(mcore("report", "--json", dump).stdout)
        self.assertEqual(report["notes"], [])
        for stack in (report["panic"]["stack"], *(cpu["stack"] for cpu in report["cpus"])):
            self.assertTrue(stack["whole"], stack)
            self.assertTrue(all(frame["reliable"] for frame in stack["frames"]), stack)
        return report

    def names(self, stack) -> list:
        return functions(frame["function"] for frame in stack["frames"])

    def test_invalid_instruction_in_a_module(self):
        report = self.report("oops")
        self.assertIn("invalid opcode", report["reason"])
        first = report["panic"]["stack"]["frames"][0]
        self.assertEqual((first["function"], first["module"]), ("dummy_init_module", "dummy"))
        self.assertEqual(self.names(report["panic"]["stack"])[:3], ["dummy_init_module", "do_one_initcall", "do_init_module"])
        self.assertEqual(report["panic"]["task"]["name"], "insmod")
        self.assertEqual(first["registers"]["rip"], report["code"]["at"])
        # ud2, and the panicking instruction is at its place among the bytes.
        offset = int(report["code"]["at"], 16) - int(report["code"]["start"], 16)
        self.assertEqual(report["code"]["bytes"][2 * offset : 2 * offset + 4], "0f0b")
        self.assertIn("E: unsigned module was loaded", report["taint"])
        # The same on every kernel.
        frames = ["dummy_init_module", "do_one_initcall", "do_init_module"]
        self.assertEqual((report["signature"]["kind"], report["signature"]["frames"][:3]), ("bug", frames))

    def test_null_pointer_in_a_module(self):
        report = self.report("null")
        self.assertIn("BUG: kernel NULL pointer dereference, address: 0000000000000000", report["reason"])
        frames = ["dummy_init_module", "do_one_initcall", "do_init_module"]
        self.assertEqual(self.names(report["panic"]["stack"])[:3], frames)
        self.assertEqual((report["signature"]["kind"], report["signature"]["frames"]), ("null-pointer", frames))
        self.assertEqual(report["panic"]["stack"]["frames"][0]["registers"]["rdx"], "0x0")

    def test_a_cpu_that_comes_to_no_end(self):
        """A soft lockup: what the timer interrupted is the bug."""
        report = self.report("soft-lockup")
        self.assertIn("softlockup: hung tasks (watchdog: BUG: soft lockup - CPU#", report["reason"])
        names = self.names(report["panic"]["stack"])
        self.assertLess(names.index("panic"), names.index("dummy_init_module"))
        self.assertIn("L: soft lockup occurred", report["taint"])
        frames = ["dummy_init_module", "do_one_initcall", "do_init_module"]
        self.assertEqual((report["signature"]["kind"], report["signature"]["frames"]), ("soft-lockup", frames))

    def test_a_stack_that_runs_over(self):
        """A function that calls itself until its stack is used up: it is there once, with a number, and so is who called it."""
        report = self.report("stack")
        self.assertIn("stack guard page was hit", report["reason"])
        frames = report["panic"]["stack"]["frames"]
        # 16 KiB, of which the unwind entry takes two words at a time.
        self.assertGreater(max(frame["repeats"] for frame in frames), 900)
        self.assertEqual(
            self.names(report["panic"]["stack"])[:4], ["dummy_init_module"] * 2 + ["do_one_initcall", "do_init_module"]
        )
        self.assertEqual(report["signature"]["kind"], "stack-overflow")
        self.assertEqual(report["signature"]["frames"][0], "dummy_init_module")
        text = mcore("report", crash_dump(self.series, "stack")).stdout.decode()
        self.assertRegex(text, r"\n    -- the same \d+ more times --\n    do_one_initcall")

    def test_panic_in_an_nmi(self):
        """The stack goes on where the NMI interrupted a task (most often the idle one), whose own stack that is."""
        report = self.report("nmi")
        self.assertIn("NMI", report["reason"])
        names = self.names(report["panic"]["stack"])
        # nmi_panic calls vpanic on 7.x.
        self.assertIn(names[1], ("panic", "vpanic"))
        self.assertIn("unknown_nmi_error", names)
        self.assertGreater(len(names[names.index("exc_nmi") :]), 4)
        interrupted = [frame["function"] for frame in report["panic"]["stack"]["frames"] if frame["registers"]]
        # The place of the panic, what the NMI interrupted, and a task when that was an interrupt itself.
        self.assertIn(len(interrupted), (2, 3), interrupted)
        self.assertEqual(report["signature"]["frames"], ["unknown_nmi_error"])

    def test_who_holds_a_mutex_and_a_semaphore(self):
        report = self.report("locks")
        waiting = {entry["task"]["name"]: entry for entry in report["waiting"]["tasks"]}
        pipe, file = waiting["pipe-waiter"], waiting["file-waiter"]
        self.assertEqual((pipe["for"], pipe["holder"]["name"]), ("mutex", "pipe-holder"))
        self.assertEqual((file["for"], file["holder"]["name"]), ("rwsem", "file-holder"))
        self.assertIn(pipe["in"], ("pipe_write", "anon_pipe_write", "anon_pipe_prefill_and_lock"))
        self.assertGreater(pipe["waited_ns"], 1_000_000_000)
        chains = sorted(report["waiting"]["chains"], key=lambda chain: chain["pids"])
        expected = sorted([pipe["task"]["pid"], pipe["holder"]["pid"]] for pipe in (pipe, file))
        self.assertEqual(chains, [{"pids": pids, "cycle": False} for pids in expected])
        holders = {entry["task"]["name"]: self.names(entry["stack"]) for entry in report["waiting"]["holders"]}
        self.assertIn("handle_userfault", holders["pipe-holder"])
        self.assertIn("handle_userfault", holders["file-holder"])

    def test_a_real_time_kernel(self):
        """PREEMPT_RT, whose locks are all mutexes of another kind: the same is said."""
        if self.series != "6.1":
            self.skipTest("there is one of these kernels")
        oops = json.loads(mcore("report", "--json", crash_dump("6.1-rt", "oops")).stdout)
        self.assertIn("PREEMPT_RT", oops["reason"])
        self.assertEqual(self.names(oops["panic"]["stack"])[:2], ["dummy_init_module", "do_one_initcall"])
        # Of the same bug on the other kernels.
        self.assertEqual(oops["signature"], self.report("oops")["signature"])
        report = json.loads(mcore("report", "--json", crash_dump("6.1-rt", "locks")).stdout)
        self.assertEqual(report["signature"]["kind"], "sysrq")
        waiting = {entry["task"]["name"]: entry for entry in report["waiting"]["tasks"]}
        for name, kind, function in (("pipe", "mutex", "pipe_write"), ("file", "rwsem", "ext4_buffered_write_iter")):
            entry = waiting[f"{name}-waiter"]
            self.assertEqual((entry["for"], entry["in"], entry["holder"]["name"]), (kind, function, f"{name}-holder"))
        self.assertEqual([chain["cycle"] for chain in report["waiting"]["chains"]], [False, False])

    def test_a_task_that_hangs(self):
        report = self.report("hung")
        self.assertIn("hung_task", report["reason"])
        waiting = {entry["task"]["name"]: entry for entry in report["waiting"]["tasks"]}
        self.assertGreater(waiting["touch"]["waited_ns"], 4_000_000_000)
        self.assertIn("percpu_rwsem_wait", self.names(waiting["touch"]["stack"]))
        self.assertEqual(report["file_systems"], [{"name": "vda", "type": "ext4", "frozen": True}])
        self.assertEqual(report["panic"]["task"]["name"], "khungtaskd")
        # Who hangs is the bug, not the watchdog that tells of it.
        self.assertEqual(report["signature"]["kind"], "hung-task")
        self.assertEqual(report["signature"]["frames"][0], "percpu_rwsem_wait")

    def test_two_mutexes_in_a_cycle(self):
        """Each of two tasks has the mutex that the other one wants: that is said in one line, with the names of the mutexes."""
        self.needs_a_module_of_ours()
        report = self.report("deadlock")
        waiting = {entry["task"]["name"]: entry for entry in report["waiting"]["tasks"]}
        pids = [waiting[f"deadlock-{name}"]["task"]["pid"] for name in ("first", "second")]
        (chain,) = report["waiting"]["chains"]
        self.assertEqual((sorted(chain["pids"]), chain["cycle"]), (sorted(pids), True))
        for name, other, lock in (("first", "second", "second_lock"), ("second", "first", "first_lock")):
            entry = waiting[f"deadlock-{name}"]
            self.assertEqual((entry["for"], entry["in"], entry["holder"]["name"]), ("mutex", "takes_both", f"deadlock-{other}"))
            self.assertEqual(entry["lock_name"], lock)
        self.assertEqual(report["signature"]["kind"], "hung-task")
        self.assertEqual(report["signature"]["frames"], ["__mutex_lock", "takes_both"])
        self.assertIn("DEADLOCK: deadlock-", mcore("report", crash_dump(self.series, "deadlock")).stdout.decode())

    def test_freed_memory_that_an_interrupt_uses(self):
        """A timer of a freed structure, over which somebody else has written: the processor was sent to where no code is, and the stack
        goes on from where the call came, across the interrupt, to its end."""
        self.needs_a_module_of_ours()
        report = self.report("freed")
        stack = report["panic"]["stack"]
        self.assertEqual(stack["frames"][0]["address"], "0x5a5a5a5a5a5a5a5a")
        self.assertTrue(stack["whole"])
        self.assertEqual([frame for frame in stack["frames"] if not frame["reliable"]], [])
        names = functions(frame["function"] for frame in stack["frames"][1:])
        self.assertEqual(names[:3], ["call_timer_fn", "__run_timers", "run_timer_softirq"])
        self.assertIn("asm_sysvec_apic_timer_interrupt", names)
        self.assertEqual(report["signature"]["kind"], "general-protection")
        self.assertEqual(report["signature"]["frames"], ["call_timer_fn", "__run_timers", "run_timer_softirq"])

    def needs_a_module_of_ours(self):
        if self.series != "6.1":
            self.skipTest("the module is built with the compiler of Debian 12, for its kernel")

    def test_ten_thousand_tasks(self):
        """All of them are found, in bounded memory."""
        dump = crash_dump(self.series, "many")
        output, status, peak = run_bounded("report", "--json", dump)
        self.assertEqual(status, 0)
        self.assertLess(peak, 64 << 10)
        report = json.loads(output)
        self.assertGreater(report["tasks"]["count"], 10_000)
        self.assertEqual(report["notes"], [])
        stacks = json.loads(mcore("bt", "-a", "--json", dump).stdout)
        self.assertEqual(len(stacks), report["tasks"]["count"])
        self.assertEqual([stack for stack in stacks if not stack["stack"]["whole"]], [])

    def test_work_on_its_way(self):
        """Reads of a disk that takes one a second, a network device with addresses, and a CPU that lets no worker run."""
        report = self.report("busy")
        requests = report["block_requests"]
        self.assertEqual(requests["count"], len(requests["requests"]))
        self.assertGreaterEqual(requests["count"], 2)
        # The file system writes now and then too.
        reads = [request for request in requests["requests"] if request["operation"] == "read"]
        self.assertGreaterEqual(len(reads), 2)
        for request in requests["requests"]:
            self.assertEqual(request["disk"], "vda")
            self.assertFalse(request["overdue"])
        self.assertEqual({request["bytes"] for request in reads}, {65536})
        self.assertGreater(requests["requests"][0]["age_ns"], 1_000_000_000)
        # Each is one that a dd waits for.
        waiting = [entry for entry in report["waiting"]["tasks"] if entry["task"]["name"] == "dd"]
        self.assertEqual(len(waiting), len(reads))
        loopback = {"name": "lo", "namespace": None, "up": True, "carrier": True, "mtu": 65536, "hardware": None}
        addresses = ["127.0.0.1/8", "192.0.2.7/24", "::1/128"]
        self.assertEqual(report["network"], [{**loopback, "addresses": addresses}])
        # From 6.12 on the kernel lets others run for a part of each second, whatever the priority.
        if self.series == "6.1":
            # A CPU has two pools, of which that of high priority may have work too.
            still = [pool for pool in report["workqueues"] if pool["stands_still"] and pool["cpu"] == 1]
            (pool,) = [pool for pool in still if "refresh_vm_stats" in pool["functions"]]
            self.assertGreater(pool["pending"], 0)
            self.assertGreater(pool["no_progress_ns"], 10_000_000_000)
            self.assertIn("STANDS STILL", mcore("report", crash_dump(self.series, "busy")).stdout.decode())

    def test_out_of_memory(self):
        report = self.report("oom")
        self.assertIn("ut of memory", report["reason"])
        self.assertEqual(report["signature"]["kind"], "out-of-memory")
        largest = report["memory"]["processes"][0]
        self.assertEqual(largest["task"]["name"], "tail")
        self.assertGreater(largest["resident_bytes"], 200 << 20)
        zones = {zone["name"]: zone for zone in report["memory"]["zones"]}
        self.assertLess(zones["DMA32"]["free_pages"], zones["DMA32"]["watermark_pages"][2])


class TwoKernels(unittest.TestCase):
    """What is the same for one bug on two kernels, and what two statements of one kernel say."""

    def info(self, series, kind, *words) -> dict:
        return json.loads(mcore("info", "--json", *words, crash_dump(series, kind)).stdout)

    def test_one_bug_has_one_signature_and_two_bugs_have_two(self):
        found = {}
        for kind in ("oops", "nmi", "hung", "oom", "locks"):
            old, new = (self.info(series, kind)["signature"] for series in ("6.1", "7.x"))
            self.assertEqual(old, new)
            found[old["hash"]] = kind
        self.assertEqual(len(found), 5, found)

    def test_save_and_list_say_the_signature_of_info(self):
        with tempfile.TemporaryDirectory(prefix="mcore-signature-") as directory:
            mcore("save", "-q", crash_dump("6.1", "oops"), directory)
            (dump,) = json.loads(mcore("list", "--json", directory).stdout)["dumps"]
            signature = self.info("6.1", "oops")["signature"]
            self.assertEqual(dump["signature"], signature["hash"])
            path = pathlib.Path(dump["path"])
            names = sorted(entry.name for entry in path.iterdir())
            self.assertEqual(names, ["dmesg.txt", "dump.json", "report.json", "report.txt", "vmcore.elf.gz"])
            manifest = json.loads((path / "dump.json").read_text())
            self.assertEqual(manifest["signature"], signature)
            self.assertEqual(sorted(manifest["files"]), [name for name in names if name != "dump.json"])
            self.assertEqual(json.loads((path / "report.json").read_text())["signature"], signature)
            # Without its manifest's word the list asks the dump itself.
            lean = pathlib.Path(directory) / "lean"
            lean.mkdir()
            mcore("save", "-q", "--no-report", crash_dump("6.1", "oops"), lean)
            (other,) = lean.iterdir()
            self.assertEqual(sorted(entry.name for entry in other.iterdir()), ["dmesg.txt", "dump.json", "vmcore.elf.gz"])
            del manifest["signature"]
            (other / "dump.json").write_text(json.dumps(manifest))
            (dump,) = json.loads(mcore("list", "--json", lean).stdout)["dumps"]
            self.assertEqual(dump["signature"], signature["hash"])

    def test_a_capture_has_the_report_and_does_without_it(self):
        """mcore-capture makes it by a process of its own: whatever becomes of that, the dump is whole."""
        source = crash_dump("6.1", "oops")
        with tempfile.TemporaryDirectory(prefix="mcore-capture-") as directory:
            capture = f"{BIN}/mcore-capture source={source} target={directory} threads=1"
            # Where nothing can be put down, there is none.
            read_only = f"mount --bind /run /run && mount -o remount,ro,bind /run && exec {capture}"
            for words, kept in ((["sh", "-c", capture], True), (["unshare", "--mount", "sh", "-c", read_only], False)):
                command(*words)
                dump = max(pathlib.Path(directory).iterdir(), key=lambda path: path.stat().st_mtime_ns)
                mcore("verify", "-q", dump)
                manifest = json.loads((dump / "dump.json").read_text())
                text = (dump / "report.txt").read_bytes()
                if kept:
                    self.assertEqual(text, mcore("report", source).stdout)
                    self.assertEqual(manifest["signature"], self.info("6.1", "oops")["signature"])
                else:
                    self.assertTrue(text.startswith(b"There is no report: "), text)
                    self.assertIsNone(manifest["signature"])
                    self.assertFalse((dump / "report.json").exists())
                shutil.rmtree(dump)

    def test_types_are_a_witness_of_vmcoreinfo(self):
        for series in ("6.1", "7.x"):
            dump = crash_dump(series, "locks")
            sound = self.info(series, "locks")["types"]
            self.assertGreater(sound["agree"], 60)
            self.assertEqual((sound["disagree"], sound["supplied"]), ([], []))
            known = Core(dump).vmcoreinfo()
            keys = [f"OFFSET(page.{name})" for name in ("flags", "_refcount", "mapping", "lru", "_mapcount", "private")]
            keys += ["OFFSET(zone.free_area)", "OFFSET(free_area.free_list)", "OFFSET(list_head.next)", "SIZE(page)"]
            with tempfile.TemporaryDirectory(prefix="mcore-witness-") as directory:
                text = pathlib.Path(directory) / "vmcoreinfo"

                def write(values):
                    text.write_text("".join(f"{key}={value}\n" for key, value in values.items()))

                for key in keys:
                    # Another value is named, with both.
                    write({**known, key: int(known[key]) + 8})
                    said = self.info(series, "locks", "--vmcoreinfo", text)
                    line = f"VMCOREINFO says {key}={int(known[key]) + 8}, the kernel's types say {known[key]}"
                    self.assertEqual(said["types"]["disagree"], [line])
                    self.assertIn(line, said["findings"])
                    self.assertEqual(said["status"], "findings")
                # What is missing is supplied, and classes are what they would have been.
                write({key: value for key, value in known.items() if key not in keys})
                said = self.info(series, "locks", "--vmcoreinfo", text)
                self.assertEqual(sorted(said["types"]["supplied"]), sorted(f"{key}={known[key]}" for key in keys))
                out = pathlib.Path(directory) / "out"
                mcore("save", "-q", "--vmcoreinfo", text, dump, out)
                whole = pathlib.Path(directory) / "whole"
                mcore("save", "-q", dump, whole)
                counts = [json.loads(mcore("info", "--json", path).stdout)["pages"] for path in (out, whole)]
                self.assertEqual(counts[0], counts[1])
                self.assertGreater(counts[0]["free"]["left_out"], 0)


def load_tests(loader, _, __):
    suite = for_each(loader, SERIES, JudgedReport, "Report")
    suite.addTests(for_each(loader, SERIES, Crashes, "Crashes"))
    suite.addTests(loader.loadTestsFromTestCase(TwoKernels))
    return suite
