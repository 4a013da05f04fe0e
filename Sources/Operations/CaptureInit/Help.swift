internal import DumpTarget

/// `mcore-capture --help`: for somebody in a rescue shell who has nothing else to read.
enum Help {
  static var text: String {
    var keys = ""
    for key in SettingKey.all {
      let name = key.name + String(repeating: " ", count: max(1, 10 - key.name.utf8.count))
      keys += "  \(name)\(key.help)\n            \(key.allowed)\n"
    }
    return """
      mcore-capture saves the memory of a crashed kernel. It is for a crash kernel's initramfs: as /init, or typed in a shell.

      usage: mcore-capture [key=value ...]

        mcore-capture target=/dev/vda1:/var/crash      onto the file system of a disk, which is mounted for it
        mcore-capture target=/mnt/dumps                into a directory that is there already
        mcore-capture target=UUID=...:/var/crash target=/dev/sdb1:/crash
                                                       a second target, for when the first one fails

      A dump is a directory, <time>-<kernel release>/, that holds vmcore.elf.gz, dmesg.txt and dump.json. It is called
      *.incomplete until all of it is on the disk; what was cut short keeps that name, and can still be read.
      Saving twice makes two dumps.

      settings:
      \(keys)
      The same words stand in three places; a later one wins:
        /etc/mcore.conf          one or several a line, # begins a comment
        the kernel command line  with mcore. in front: mcore.target=UUID=...:/var/crash
        the arguments
      Typed by hand, only the arguments decide about final, failure and shell.

      exit status: 0 saved; 1 failed; 2 a word is wrong, nothing was done; 3 saved, with findings or cut short

      """
  }
}
