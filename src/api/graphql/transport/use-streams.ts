import type { ServerResponse } from 'node:http'
import type { ExecutionResult, GraphQLError } from 'graphql'
import type { Plugin } from 'graphql-yoga'
import { sendEvents } from './send-events.ts'
import { subscribe } from './subscribe.ts'

/** Subscriptions that are executed once for all who ask the same, and sent by a sender that waits for the connection. */
export function useStreams(mask: (error: unknown) => GraphQLError): Plugin<object, { res: ServerResponse }> {
  return {
    onSubscribe: (hook) => hook.setSubscribeFn((args) => subscribe(args, mask)),
    onResultProcess: (hook) => {
      const { result, serverContext } = hook
      // Where no processor was found, the client does not accept an event stream.
      if (hook.resultProcessor === undefined || !(Symbol.asyncIterator in result)) return
      const results = result as AsyncIterable<ExecutionResult>
      hook.setResultProcessor(async (_, { Response }) => {
        // What Yoga is given is not sent, because the response has ended by then.
        await sendEvents(results, serverContext.res)
        return new Response()
      }, 'text/event-stream')
    },
  }
}
