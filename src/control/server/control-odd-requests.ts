import { STATUS_CODES } from 'node:http'
import {
  type BrokenRequestHandler,
  brokenRequestHandler,
  type ExpectationHandler,
  expectationHandler,
  type OddRequestOptions,
  PROBLEM_CONTENT_TYPE,
} from '../../odd-requests.ts'
import type { ControlProblemBody } from './control-problem.ts'

const DETAILS = {
  broken: 'the request is not valid HTTP',
  expectation: 'the Expect header of the request cannot be met',
}

const OPTIONS: OddRequestOptions = {
  headers: { 'Content-Type': PROBLEM_CONTENT_TYPE, 'X-Content-Type-Options': 'nosniff' },
  problem: (status, odd): ControlProblemBody => {
    const [title, detail] = [STATUS_CODES[status] ?? 'Error', DETAILS[odd]]
    return { type: 'about:blank', title, status, detail, code: 'SB_CONTROL_REQUEST', hint: '' }
  },
}

export const answerBrokenControlRequest: BrokenRequestHandler = brokenRequestHandler(OPTIONS)
export const answerExpectation: ExpectationHandler = expectationHandler(OPTIONS)
