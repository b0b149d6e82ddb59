-- wrk posts one body over and over.
-- Arguments: the body's file, its content type, and after how many answers to print a line (0: never).

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
   step = tonumber(args[3])
   answered = 0
   unstored = {}
end

-- Of the answers other than 201, wrk itself counts those from 400 on, and doesn't say which.
function response(status)
   answered = answered + 1
   if status ~= 201 then
      local name = "status " .. status
      unstored[name] = (unstored[name] or 0) + 1
   end
   if step > 0 and answered % step == 0 then
      print("answered " .. answered)
      io.flush()
   end
end

function done(summary, latency)
   local errors = {}
   for _, kind in ipairs({"connect", "read", "write", "timeout"}) do
      table.insert(errors, string.format('"%s": %d', kind, summary.errors[kind]))
   end
   for _, thread in ipairs(threads) do
      for name, count in pairs(thread:get("unstored")) do
         table.insert(errors, string.format('"%s": %d', name, count))
      end
   end
   print(string.format(
      '{"requests": %d, "seconds": %f, "p50": %f, "p99": %f, "errors": {%s}}',
      summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
      table.concat(errors, ", ")
   ))
end
