/**
 * Metrics: scrapes the replicas of the application and computes rates of their counters, both sides
 * over the same seconds.
 */
export {
  armReading,
  type ArmReading,
  Fleet,
  type FleetReading,
  type ReplicaReading,
} from './fleet.ts'
export { readExposition, type Scrape } from './scrape.ts'
