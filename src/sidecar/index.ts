// The sidecar: flagd's protocols on flagd's official evaluator, for laptops and tests where no flagd
// is at hand. It serves one flags file over gRPC, OFREP and plain HTTP, on the loopback interface. It
// is not flagd: production runs the real one, and `test/flagd` holds both to the same expectations.
export { startSidecar } from './sidecar.ts'
export type { SidecarLogEntry } from './flags-file.ts'
export type { Sidecar, SidecarOptions, SidecarPorts } from './sidecar.ts'
