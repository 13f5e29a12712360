"""The views of a session, each handed what it uses of another."""

from assist_view import AssistView
from console_view import ConsoleView
from course_view import CourseView
from doctor_view import DoctorView
from files_view import FilesView
from inspector_view import InspectorView
from lens_view import LensView
from link_view import LinkView
from live_view import LiveView
from project_view import ProjectView
from samples_view import SamplesView
from shelf_view import ShelfView
from speed_view import SpeedView
from step_view import StepView
from sweep_view import SweepView
from talk_view import TalkView
from text_view import TextView
from twin_view import TwinView
from view import PageSession, View

import groundling.labs.course


def views(session: PageSession) -> list[View]:
    """All views, in the order in which they are called; the first is that of the edits."""
    talk = TalkView(session)
    step = StepView(session, talk.voices.get)
    console = ConsoleView(session, step.drop)
    twin, inspector, doctor = TwinView(session), InspectorView(session), DoctorView(session)
    shelf = ShelfView(session)

    def seen() -> groundling.labs.course.Seen:
        return groundling.labs.course.Seen(
            session.run, twin.verdict, doctor.verdicts, inspector.open, talk.text, talk.model_of
        )

    return [
        LiveView(session),
        SamplesView(session),
        FilesView(session),
        SpeedView(session),
        talk,
        twin,
        SweepView(session, shelf.keep),
        inspector,
        LinkView(session),
        console,
        AssistView(session, console.known),
        ProjectView(session),
        doctor,
        LensView(session, talk.model_of),
        step,
        TextView(session),
        CourseView(session, seen),
        shelf,
    ]
