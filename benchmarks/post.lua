-- Makes wrk post one body over and over.
-- Arguments: file with the body, content type, status that counts as success, and number of responses after which to
-- print a line (0: never).

local threads = {}

function setup(thread)
   table.insert(threads, thread)
end

function init(args)
   local file = assert(io.open(args[1], "rb"))
   wrk.method = "POST"
   wrk.body = file:read("*a")
   wrk.headers["Content-Type"] = args[2]
   file:close()
   accepted = tonumber(args[3])
   step = tonumber(args[4])
   responses = 0
   failures = {}
end

-- wrk itself counts only statuses of 400 and above, and does not tell them apart.
function response(status)
   responses = responses + 1
   if status ~= accepted then
      local name = "status " .. status
      failures[name] = (failures[name] or 0) + 1
   end
   if step > 0 and responses % step == 0 then
      print("responses " .. responses)
      io.flush()
   end
end

function done(summary, latency)
   local errors = {}
   for _, kind in ipairs({"connect", "read", "write", "timeout"}) do
      table.insert(errors, string.format('"%s": %d', kind, summary.errors[kind]))
   end
   for _, thread in ipairs(threads) do
      for name, count in pairs(thread:get("failures")) do
         table.insert(errors, string.format('"%s": %d', name, count))
      end
   end
   print(string.format(
      '{"requests": %d, "seconds": %f, "p50": %f, "p99": %f, "errors": {%s}}',
      summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
      table.concat(errors, ", ")
   ))
end
