"""The one thread that touches the model: several requests under way, a token of each in turn.

Requests are not put into one batch: the sums of a batch depend on who else is in it, and a request's answer should
depend on nothing but the request.
"""

import logging
import threading
from collections import deque
from collections.abc import Callable

import torch

from harken.models.model import Model
from harken.serve.answering import Answering, Failed, Job
from harken.serve.refusal import Refusal

log = logging.getLogger("harken.serve")
RETRY_AFTER = {"Retry-After": "1"}


class Worker:
    """Answers jobs in the order in which they come.

    Args:
        model: answers; nobody else may use it meanwhile.
        at_once: jobs under way at a time.
        waiting: further jobs that may have a place.
    """

    def __init__(self, model: Model, at_once: int, waiting: int):
        self.model, self.at_once, self.places = model, at_once, at_once + waiting
        self._taken = 0
        self._queue: deque[Job] = deque()
        self._changed = threading.Condition()
        self._closing = False
        self._threads = torch.get_num_threads()
        self._thread = threading.Thread(target=self._work, name="harken-serve", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def close(self) -> None:
        """End after the step that is under way; jobs that are not done are failed."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join()

    def take_place(self) -> Callable[[], None]:
        """A place among the jobs under way and waiting; what is returned gives it back, once.

        Raises:
            Refusal: if all are taken.
        """
        with self._changed:
            if self._taken >= self.places:
                busy = f"all {self.places} places are taken (at_once, waiting); come again in a second"
                raise Refusal(busy, None, "overloaded", 503, RETRY_AFTER)
            self._taken += 1
        returned = threading.Event()

        def give_back() -> None:
            with self._changed:
                if not returned.is_set():
                    returned.set()
                    self._taken -= 1

        return give_back

    def submit(self, job: Job) -> None:
        """Have a job done; its events come from the worker's thread."""
        with self._changed:
            self._queue.append(job)
            self._changed.notify()

    def forget(self, job: Job) -> None:
        """Nobody waits for a job any longer: it leaves the queue, or ends after the step that is under way."""
        job.gone.set()
        with self._changed:
            if job not in self._queue:
                return
            self._queue.remove(job)
        job.done()

    def _work(self) -> None:
        torch.set_num_threads(self._threads)
        under_way: list[Answering] = []
        with torch.no_grad(), self.model.in_role():
            while not self._closing:
                self._fill(under_way)
                for answering in list(under_way):
                    if not self._advance(answering):
                        under_way.remove(answering)
        left = [*(answering.job for answering in under_way), *self._queue]
        for job in left:
            job.tell(Failed(Refusal("the server is stopping", None, "stopping", 503, RETRY_AFTER)))
            job.done()

    def _fill(self, under_way: list[Answering]) -> None:
        """Begin what waits; sleep if there is nothing at all to do."""
        while len(under_way) < self.at_once:
            with self._changed:
                while not self._queue and not under_way and not self._closing:
                    self._changed.wait()
                if not self._queue or self._closing:
                    return
                job = self._queue.popleft()
            begun = self._begin(job)
            if begun is not None:
                under_way.append(begun)

    def _begin(self, job: Job) -> Answering | None:
        if not job.gone.is_set():
            try:
                return Answering(self.model, job)
            except Exception as error:  # whatever it is, the next request must be answered
                _fail(job, error)
        job.done()
        return None

    def _advance(self, answering: Answering) -> bool:
        """One token further; whether there is more to do."""
        try:
            if not answering.over:
                answering.step()
            if not answering.over:
                return True
        except Exception as error:
            _fail(answering.job, error)
        answering.job.done()
        return False


def _fail(job: Job, error: Exception) -> None:
    if job.gone.is_set():
        return
    if isinstance(error, Refusal):
        refusal = error
    elif isinstance(error, torch.OutOfMemoryError):
        torch.cuda.empty_cache()
        refusal = Refusal("the device's memory is full; ask for less, or later", None, "out_of_memory", 503)
    else:
        log.error("a request failed", exc_info=error)
        refusal = Refusal("the server failed; its log says why", None, "internal_error", 500)
    job.tell(Failed(refusal))
