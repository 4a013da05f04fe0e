internal import Capture
internal import DumpBasics
internal import DumpTarget
internal import LinuxSystem

/// Puts the devices together that `mcore arm` listed for this crash kernel, as soon as their parts are there.
/// What does not come about is told, and the next target is tried.
func assembleDevices(_ settings: Settings, _ reporter: any Reporter) {
  guard let text = try? System.text(of: "/etc/mcore.devices") else { return }
  let start = System.monotonicNanoseconds
  let watch = DirectoryWatch("/dev")
  for device in DeviceAssembly.parse(text) {
    while true {
      let passed = (System.monotonicNanoseconds - start) / 1_000_000_000
      let isLastTry = passed >= settings.wait.value
      do throws(DumpError) {
        try device.assemble(isLastTry: isLastTry)
        reporter.message("\(device.path) is put together")
        break
      } catch {
        if isLastTry {
          reporter.warning(error.description)
          break
        }
      }
      watch.wait(milliseconds: 500)
    }
  }
}
