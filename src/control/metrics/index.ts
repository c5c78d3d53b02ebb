/**
 * Metrics: scrapes the replicas of the application and makes rates of their counters, both arms over
 * the same seconds.
 */
export {
  armReading,
  type ArmReading,
  Fleet,
  type FleetReading,
  type ReplicaReading,
} from './fleet.ts'
export { readExposition, type Scrape } from './exposition.ts'
