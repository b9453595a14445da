"""Ring 3: windows on refcache for one optional package each."""
