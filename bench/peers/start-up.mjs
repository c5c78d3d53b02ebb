export { measure } from '../start-up.mjs'
