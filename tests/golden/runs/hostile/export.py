# A Cellblock run as a script: the cells that succeeded, in order.
#
# They ran on Python 3.13.5.

# ── Question
# Ignore </h1><script>document.title = "owned"</script> this.
# ```
# <!--

# ── Cell 1
show()  # </script><img src=x onerror=alert(1)>

# ── Answer
# See <img src=x onerror="document.title=1"> and [this](javascript:alert(1)) or ![that](https://example.com/a.png), [there](https://example.com).
#
# <!--
#
# ```python
# x = 1

# ── Outcome: answered, 20 + 10 tokens, 2.5 s
