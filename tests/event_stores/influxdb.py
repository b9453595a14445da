"""An HTTP server that answers as InfluxDB 2 does, with what it is given; there is none here."""

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

LIMIT = 5.0  # seconds, for its thread to end

# As in https://docs.influxdata.com/influxdb/v2/reference/syntax/annotated-csv/; `customer_id` is a
# tag, so it is in the group key, and each of its values has a table of its own.
TIME = "dateTime:RFC3339"
HEAD = (
    "#group,false,false,true,true,false,false,true,true,true",
    f"#datatype,string,long,{TIME},{TIME},{TIME},double,string,string,string",
    "#default,_result,,,,,,,,",
    ",result,table,_start,_stop,_time,_value,_field,_measurement,customer_id",
)
SPAN = "2026-01-01T00:00:00Z,2026-01-02T00:00:00Z"


def annotated_csv(customers: Iterable[int]) -> str:
    """An order of each, as `/api/v2/query` answers: lines end in CRLF, an empty one ends all."""
    records = [
        f",,{table},{SPAN},2026-01-01T00:{table % 60:02}:00.5Z,{table}.25,amount,order,{customer}"
        for table, customer in enumerate(customers)
    ]
    return "\r\n".join([*HEAD, *records, "", ""])


@dataclass(slots=True)
class Asked:
    """Where it answers, and each request's path and body."""

    port: int
    requests: list[tuple[str, bytes]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/api/v2/query?org=shop"


@contextmanager
def answering(answer: str) -> Iterator[Asked]:
    """Answers each query with *answer* until the block ends."""
    body = answer.encode()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers["Content-Length"])
            asked.requests.append((self.path, self.rfile.read(length)))
            self.send_response(200)
            self.send_header("Content-Type", "text/csv; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        asked = Asked(server.server_port)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield asked
        server.shutdown()
        thread.join(LIMIT)
