-- What wrk sends: `wrk … -- METHOD PATH [BODY] [IDS]`. In BODY, %N is a number that grows; IDS is a file of ids, one a line, that are put behind PATH in turn.
local method, path, body, ids, n = "GET", "/", nil, {}, 0

function init(args)
  method, path = args[1], args[2]
  if args[3] and args[3] ~= "" then body = args[3] end
  if args[4] then
    for id in io.lines(args[4]) do ids[#ids + 1] = id end
  end
end

function request()
  n = n + 1
  local to = #ids > 0 and path .. ids[n % #ids + 1] or path
  local text = body and body:gsub("%%N", n) or nil
  return wrk.format(method, to, wrk.headers, text)
end
